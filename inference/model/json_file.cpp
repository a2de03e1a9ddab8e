#include "inference/model/json_file.hpp"

#include <string>
#include <utility>

#include "inference/model/model_file.hpp"
#include "inference/text/json_text.hpp"

namespace solard {

namespace json = boost::json;

result<json::object> parse_json_object(std::string_view text, const std::filesystem::path& file) {
    auto [value, problem] = parse_json_text(text);
    if (!problem.empty()) return bad_model(file, "is not valid JSON" + problem + "; expected a JSON object");
    if (!value.is_object()) return bad_model(file, "is JSON but not an object, expected a JSON object");
    if (const auto flaw = find_json_flaw(text)) {
        return bad_model(file, flaw->duplicate_key
                                   ? "key " + quoted_name(*flaw->duplicate_key) +
                                         " appears twice in one object" + flaw->place
                                   : "has a number which is too large for a 64-bit float" + flaw->place);
    }
    return std::move(value.as_object());
}

result<json::object> read_json_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
    const auto text = read_model_file(path, max_bytes);
    if (!text) return text.error();
    return parse_json_object(*text, path);
}

std::optional<std::int64_t> non_negative_integer(const json::value& value) {
    const std::int64_t* integer = value.if_int64();
    if (integer == nullptr || *integer < 0) return std::nullopt;
    return *integer;
}

}  // namespace solard
