// Typed access to the objects of config.json and generation_config.json.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inference/error.hpp"
#include "inference/token_id.hpp"

namespace solard {

// Returns the value as an error message shows it: short, and on one line.
std::string shown(const boost::json::value& value);

// Reads one object. The first error is kept and later ones are ignored, so that a caller can read all fields
// and then check outcome() once. A null counts as absent, as it does for the library that writes the files
// (Hugging Face transformers).
class ConfigReader {
  public:
    // `path` is the key of the object in its file, such as "rope_scaling"; it is empty for the whole file.
    // `file` and `object` must outlive the reader.
    ConfigReader(const std::filesystem::path& file, const boost::json::object& object, std::string path = {});

    // Errors: bad_model, with a message of one line that names the file, the key, its value and what was
    // expected.
    result<void> outcome() const { return error_ ? result<void>(*error_) : result<void>(); }
    void refuse(std::string_view key, std::string_view expected);

    // Returns nullptr if the key is absent.
    const boost::json::value* find(std::string_view key) const;
    // Returns true even if the value is null.
    bool mentions(std::string_view key) const { return object_.contains(key); }
    const boost::json::object& object() const { return object_; }

    std::optional<std::int32_t> optional_integer(std::string_view key, std::int32_t min, std::int32_t max);
    std::int32_t integer(std::string_view key, std::int32_t min, std::int32_t max);
    // Accepts a number if `in_range` returns true for it; `expected` describes that range in the error.
    template <class Predicate>
    std::optional<double> optional_number(std::string_view key, Predicate in_range,
                                          std::string_view expected) {
        const boost::json::value* value = find(key);
        if (value == nullptr) return std::nullopt;
        if (value->is_number() && in_range(value->to_number<double>())) return value->to_number<double>();
        refuse(key, expected);
        return std::nullopt;
    }
    template <class Predicate>
    double number(std::string_view key, Predicate in_range, std::string_view expected) {
        const auto value = optional_number(key, in_range, expected);
        if (!value) refuse(key, expected);
        return value.value_or(1);
    }
    bool boolean_or_false(std::string_view key);
    // Reads one id or a list of ids, each in [0, vocab_size). Returns an empty list if the key is absent.
    std::vector<TokenId> token_ids(std::string_view key, std::int32_t vocab_size);
    // Reads a nested object with a reader of its own and returns the result of `read`, or a default value if
    // the key is absent or its value is no object.
    template <class Read>
    auto nested(std::string_view key, Read read) {
        using Value = decltype(read(*this));
        const boost::json::value* value = find(key);
        if (value == nullptr) return Value{};
        if (!value->is_object()) {
            refuse(key, "an object");
            return Value{};
        }
        ConfigReader inner(file_, value->get_object(), std::string(key));
        Value found = read(inner);
        if (!error_) error_ = inner.error_;
        return found;
    }

    void require_absent(std::string_view key);
    void require_false(std::string_view key);
    void require_equal(std::string_view key, const boost::json::value& wanted);

  private:
    const std::filesystem::path& file_;
    const boost::json::object& object_;
    std::string path_;
    std::optional<Error> error_;
};

}  // namespace solard
