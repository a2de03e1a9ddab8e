#include "inference/tokenizer/normalizer.hpp"

#include <utility>

#include "inference/tokenizer/replace_all.hpp"

namespace solard {

Normalizer Normalizer::read(ObjectReader reader) {
    Normalizer normalizer;
    normalizer.add(reader);
    return normalizer;
}

void Normalizer::add(ObjectReader& reader) {
    const std::string type = reader.string("type");
    if (type == "Sequence") {
        for (ObjectReader& step : reader.objects("normalizers")) add(step);
    } else if (type == "Prepend") {
        if (auto text = reader.string("prepend"); !text.empty()) steps_.push_back({"", std::move(text)});
    } else if (type == "Replace") {
        auto replacement = read_replacement(reader);
        steps_.push_back({std::move(replacement.pattern), std::move(replacement.content)});
    } else {
        reader.refuse("type", "Sequence, Prepend or Replace (other normalizers are not supported)");
    }
    reader.refuse_other_keys();
}

MarkedText Normalizer::apply(const MarkedText& text) const {
    MarkedText changed = text;
    for (const Step& step : steps_) {
        if (!step.pattern.empty()) {
            changed = replace_all(changed, step.pattern, step.content);
        } else if (!changed.empty()) {
            MarkedText whole(step.content, Trust::trusted);
            whole.append(changed);
            changed = std::move(whole);
        }
    }
    return changed;
}

}  // namespace solard
