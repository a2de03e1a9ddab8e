// Reads the fields of a request body and checks their types and ranges.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inference/token_id.hpp"
#include "server/config/error.hpp"

namespace solard::server {

// A number above the context length of any model. The limit of the served model is checked later.
inline constexpr std::int64_t max_token_count = 1 << 24;
inline constexpr std::size_t max_stop_strings = 16;
inline constexpr std::size_t max_stop_bytes = 256;

// Returns the error for a field with an invalid value: "PATH must be EXPECTATION, but is VALUE." The value is
// left out if it is a list, an object or a string of more than 32 bytes. `value` is nullptr if the field is
// missing.
Error wrong_field(const std::string& path, std::string_view expectation, const boost::json::value* value);

// Returns the value of a whole number, however it is written: 256, 256.0 and 2.56e2 are the same number. Some
// clients write every number as a float. Returns nullopt for anything else, and for numbers outside of 64
// bits. A float of -2^63 may stand for a smaller integer, so it is outside too.
std::optional<std::int64_t> whole_number(const boost::json::value& value);

// Returns the list's items if all of them are whole numbers in [0, end).
std::optional<std::vector<TokenId>> token_ids_in(const boost::json::array& list, std::int64_t end);

// Reads the fields of one JSON object and keeps the first problem. A function that reads a field returns no
// value (std::nullopt, nullptr or an empty list) if the field is absent or null, or if there is a problem
// already. The JSON object must outlive the reader. Every name must be a string literal.
class FieldReader {
  public:
    enum class Bound { closed, open };  // closed: the smallest value itself is allowed

    explicit FieldReader(const boost::json::object& object, std::string prefix = {})
        : object_(object), prefix_(std::move(prefix)) {}

    std::optional<std::string> string(std::string_view name);
    std::optional<bool> boolean(std::string_view name);
    std::optional<std::int64_t> integer(std::string_view name, std::int64_t min, std::int64_t max);
    // Reads an upper bound for a number of tokens: a whole number from `min` on, or -1 for no bound. No
    // bound, and bounds above max_token_count, become max_token_count.
    std::optional<std::int32_t> token_limit(std::string_view name, std::int32_t min = 1);
    std::optional<double> number(std::string_view name, double min, double max, Bound lower = Bound::closed);
    // Reads any 64-bit integer, signed or unsigned. Returns no value for -1, which means a random seed in
    // vLLM and llama.cpp.
    std::optional<std::uint64_t> seed(std::string_view name);
    // Reads one string or a list of up to 16 strings, each of 1 to 256 bytes.
    std::vector<std::string> stop(std::string_view name);
    const boost::json::object* object(std::string_view name);
    const boost::json::array* array(std::string_view name);

    // Marks a field as known although it has no effect or is read without this reader.
    void ignore(std::string_view name) { known_.push_back(name); }
    // Returns true if the field was read or ignored.
    bool is_known(std::string_view name) const;
    // Records that the field, or a member of it such as "reasoning.effort", is not supported
    // (unsupported_parameter). `accepted` are the JSON values which it may have, separated by commas.
    void refuse(std::string_view name, std::string_view accepted = {});
    const boost::json::object& object() const { return object_; }

    // Both fail() functions record a problem unless there is one already. The first function reports that the
    // field `name` has an invalid value.
    void fail(std::string_view name, std::string_view expectation);
    void fail(Error problem);
    const std::optional<Error>& error() const { return error_; }

  private:
    const boost::json::value* find(std::string_view name);

    const boost::json::object& object_;
    std::string prefix_;                   // text in front of the field names in messages
    std::vector<std::string_view> known_;  // the names which were read or ignored
    std::optional<Error> error_;
};

}  // namespace solard::server
