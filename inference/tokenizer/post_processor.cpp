#include "inference/tokenizer/post_processor.hpp"

#include <string>

namespace solard {
namespace {

// Returns the ids that TemplateProcessing has for one of its special tokens.
std::vector<TokenId> ids_of(ObjectReader& reader, const std::string& name) {
    std::vector<TokenId> ids;
    auto tokens = reader.object("special_tokens");
    auto token = tokens ? tokens->object(name) : std::nullopt;
    const auto* list = token ? token->array("ids") : nullptr;
    if (!token || list == nullptr) {
        reader.refuse("special_tokens", "an object that has the ids of \"" + name + "\"");
        return ids;
    }
    for (const auto& value : *list) {
        const auto* id = value.if_int64();
        if (id == nullptr || *id < 0 || *id > INT32_MAX) {
            token->refuse("ids", "a list of token ids");
            return {};
        }
        ids.push_back(static_cast<TokenId>(*id));
    }
    return ids;
}

TextFrame read_template(ObjectReader& reader) {
    TextFrame frame;
    bool is_before = true;
    for (ObjectReader& item : reader.objects("single")) {
        if (auto sequence = item.object("Sequence")) {
            if (!is_before || sequence->string("id") != "A") reader.refuse("single", "the sequence A once");
            is_before = false;
        } else if (auto token = item.object("SpecialToken")) {
            const auto ids = ids_of(reader, token->string("id"));
            auto& list = is_before ? frame.before : frame.after;
            list.insert(list.end(), ids.begin(), ids.end());
        }
        item.refuse_other_keys();
    }
    if (is_before) reader.refuse("single", "the sequence A once");
    reader.ignore("pair");
    reader.ignore("special_tokens");
    return frame;
}

}  // namespace

TextFrame read_post_processor(ObjectReader reader) {
    TextFrame frame;
    const std::string type = reader.string("type");
    if (type == "Sequence") {
        for (const ObjectReader& step : reader.objects("processors")) {
            const TextFrame outer = read_post_processor(step);
            frame.before.insert(frame.before.begin(), outer.before.begin(), outer.before.end());
            frame.after.insert(frame.after.end(), outer.after.begin(), outer.after.end());
        }
    } else if (type == "TemplateProcessing") {
        frame = read_template(reader);
    } else if (type == "ByteLevel") {
        for (const auto* key : {"add_prefix_space", "trim_offsets", "use_regex"}) reader.ignore(key);
    } else {
        reader.refuse("type",
                      "Sequence, TemplateProcessing or ByteLevel (other post-processors are not supported)");
    }
    reader.refuse_other_keys();
    return frame;
}

}  // namespace solard
