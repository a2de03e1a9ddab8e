#include "inference/tokenizer/pre_tokenizer.hpp"

#include <optional>
#include <utility>

#include "inference/tokenizer/replace_all.hpp"

namespace solard {
namespace {

// The pattern of ByteLevel. Source: encoder.py of GPT-2.
constexpr std::string_view byte_level_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace

PreTokenizer PreTokenizer::read(ObjectReader reader) {
    PreTokenizer pre_tokenizer;
    pre_tokenizer.add(reader);
    return pre_tokenizer;
}

void PreTokenizer::add(ObjectReader& reader) {
    const std::string type = reader.string("type");
    if (is_byte_level_) reader.refuse("type", "nothing after ByteLevel, which must be the last");
    if (type == "Sequence") {
        for (ObjectReader& step : reader.objects("pretokenizers")) add(step);
    } else if (type == "Metaspace") {
        add_metaspace(reader);
    } else if (type == "ByteLevel") {
        add_byte_level(reader);
    } else if (type == "Split") {
        add_split(reader);
    } else if (type == "Digits") {
        const bool one_by_one = reader.boolean("individual_digits", false);
        add_pattern(reader, "type", one_by_one ? R"(\p{N})" : R"(\p{N}+)");
    } else {
        reader.refuse(
            "type",
            "Sequence, Metaspace, ByteLevel, Split or Digits (other pre-tokenizers are not supported)");
    }
    reader.refuse_other_keys();
}

void PreTokenizer::add_metaspace(ObjectReader& reader) {
    Metaspace step;
    step.mark = reader.string("replacement");
    reader.ignore("str_rep");  // older files: the same as "replacement"
    if (reader.boolean("split", true)) reader.refuse("split", "false (a split at spaces is not supported)");
    // Older files have only add_prefix_space.
    const bool adds_space = reader.boolean("add_prefix_space", true);
    const std::string scheme = reader.string("prepend_scheme", adds_space ? "always" : "never");
    if (scheme == "first") {
        step.prepend = Metaspace::Prepend::first;
    } else if (scheme == "never") {
        step.prepend = Metaspace::Prepend::never;
    } else if (scheme != "always") {
        reader.refuse("prepend_scheme", "always, first or never");
    }
    steps_.emplace_back(std::move(step));
}

void PreTokenizer::add_byte_level(ObjectReader& reader) {
    is_byte_level_ = true;
    reader.ignore("trim_offsets");  // changes no token
    if (reader.boolean("add_prefix_space", true)) steps_.emplace_back(PrefixSpace());
    if (reader.boolean("use_regex", true)) add_pattern(reader, "use_regex", byte_level_pattern);
}

void PreTokenizer::add_split(ObjectReader& reader) {
    if (reader.string("behavior") != "Isolated")
        reader.refuse("behavior", "Isolated (other behaviors are not supported)");
    reader.ignore("invert");  // exchanges matches and the text between them, which Isolated treats alike
    auto pattern = reader.object("pattern");
    if (!pattern) return reader.refuse("pattern", "an object with a Regex or a String");
    const std::string text = pattern->string("String", "");
    const std::string expression = pattern->string("Regex", "");
    pattern->refuse_other_keys();
    if (text.empty() == expression.empty()) return reader.refuse("pattern", "either a Regex or a String");
    if (expression.empty()) {
        steps_.emplace_back(SplitPattern::literal(text));
    } else {
        add_pattern(*pattern, "Regex", expression);
    }
}

void PreTokenizer::add_pattern(ObjectReader& reader, std::string_view key, std::string_view pattern) {
    auto compiled = SplitPattern::regular_expression(pattern);
    if (compiled) {
        steps_.emplace_back(*std::move(compiled));
    } else {
        reader.refuse(key, "a pattern that is supported; this one " + compiled.error().message);
    }
}

result<void> PreTokenizer::split(std::string_view text, bool begins_text, WordList& list) const {
    list.changed.clear();
    list.words.assign(1, text);
    std::vector<std::string_view> words;
    for (const Step& step : steps_) {
        words.clear();
        for (const std::string_view word : list.words) {
            if (const auto* pattern = std::get_if<SplitPattern>(&step)) {
                if (auto done = pattern->split(word, list.memory, words); !done) return done.error();
                continue;
            }
            std::string changed(word);
            if (const auto* metaspace = std::get_if<Metaspace>(&step)) {
                changed = replace_all(word, " ", metaspace->mark);
                const bool is_first = begins_text && words.empty();
                const bool prepends = metaspace->prepend == Metaspace::Prepend::always ||
                                      (metaspace->prepend == Metaspace::Prepend::first && is_first);
                if (prepends && !changed.starts_with(metaspace->mark)) changed.insert(0, metaspace->mark);
            } else if (!changed.starts_with(' ')) {
                changed.insert(0, " ");
            }
            words.push_back(list.changed.emplace_back(std::move(changed)));
        }
        list.words.swap(words);
    }
    return {};
}

}  // namespace solard
