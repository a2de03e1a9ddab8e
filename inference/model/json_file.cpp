#include "inference/model/json_file.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "inference/model/model_file.hpp"
#include "inference/text/json_text.hpp"

namespace solard {
namespace {

namespace json = boost::json;

// If a key appears twice, Boost.JSON silently keeps the last value. Another program that keeps the first
// value would see a different model in the same file. This handler of basic_parser looks only at keys.
class DuplicateKeyFinder {
  public:
    using error_code = json::error_code;
    using string_view = json::string_view;
    static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

    bool on_object_begin(error_code&) {
        objects_.emplace_back();
        return true;
    }
    bool on_object_end(std::size_t, error_code&) {
        objects_.pop_back();
        return true;
    }
    bool on_key_part(string_view part, std::size_t, error_code&) {
        key_.append(part.data(), part.size());
        return true;
    }
    bool on_key(string_view last_part, std::size_t, error_code& ec) {
        key_.append(last_part.data(), last_part.size());
        if (!objects_.back().insert(key_).second) {
            ec = make_error_code(boost::system::errc::file_exists);
            return false;
        }
        key_.clear();
        return true;
    }
    bool on_document_begin(error_code&) { return true; }
    bool on_document_end(error_code&) { return true; }
    bool on_array_begin(error_code&) { return true; }
    bool on_array_end(std::size_t, error_code&) { return true; }
    bool on_string_part(string_view, std::size_t, error_code&) { return true; }
    bool on_string(string_view, std::size_t, error_code&) { return true; }
    bool on_number_part(string_view, error_code&) { return true; }
    bool on_int64(std::int64_t, string_view, error_code&) { return true; }
    bool on_uint64(std::uint64_t, string_view, error_code&) { return true; }
    bool on_double(double, string_view, error_code&) { return true; }
    bool on_bool(bool, error_code&) { return true; }
    bool on_null(error_code&) { return true; }
    bool on_comment_part(string_view, error_code&) { return true; }
    bool on_comment(string_view, error_code&) { return true; }

    const std::string& key() const { return key_; }  // after on_key() has failed: the key that appears twice

  private:
    std::vector<std::unordered_set<std::string>> objects_;  // keys seen, one set for each open object
    std::string key_;
};

}  // namespace

std::optional<std::string> find_duplicate_key(std::string_view text) {
    json::basic_parser<DuplicateKeyFinder> parser{json::parse_options{}};
    json::error_code ec;
    parser.write_some(false, text.data(), text.size(), ec);
    if (ec) return parser.handler().key();
    return std::nullopt;
}

result<json::object> parse_json_object(std::string_view text, const std::filesystem::path& file) {
    auto [value, problem] = parse_json_text(text);
    if (!problem.empty()) return bad_model(file, "is not valid JSON" + problem + "; expected a JSON object");
    if (!value.is_object()) return bad_model(file, "is JSON but not an object, expected a JSON object");
    if (const auto key = find_duplicate_key(text)) {
        return bad_model(file, "key " + quoted_name(*key) + " appears twice in one object");
    }
    return std::move(value.as_object());
}

result<json::object> read_json_file(const std::filesystem::path& path) {
    const auto text = read_model_file(path, max_json_file_bytes);
    if (!text) return text.error();
    return parse_json_object(*text, path);
}

std::optional<std::int64_t> non_negative_integer(const json::value& value) {
    const std::int64_t* integer = value.if_int64();
    if (integer == nullptr || *integer < 0) return std::nullopt;
    return *integer;
}

}  // namespace solard
