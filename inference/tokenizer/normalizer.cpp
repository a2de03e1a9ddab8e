#include "inference/tokenizer/normalizer.hpp"

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

std::string Normalizer::apply(std::string_view text) const {
    std::string changed(text);
    for (const Step& step : steps_) {
        if (!step.pattern.empty()) {
            changed = replace_all(changed, step.pattern, step.content);
        } else if (!changed.empty()) {
            changed.insert(0, step.content);
        }
    }
    return changed;
}

}  // namespace solard
