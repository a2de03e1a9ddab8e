// Typed, range-checked access to the fields of a request body. The first problem is kept; later reads give
// nothing.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inference/error.hpp"

namespace solard {

inline constexpr std::int64_t max_token_count =
    1 << 24;  // above any context; the model's own limit is checked later
inline constexpr std::size_t max_stop_strings = 16;
inline constexpr std::size_t max_stop_bytes = 256;

// A field that is absent or null is std::nullopt. `object` outlives the reader.
class FieldReader {
  public:
    enum class Bound { closed, open };  // whether the smallest value itself is allowed

    explicit FieldReader(const boost::json::object& object, std::string prefix = {})
        : object_(object), prefix_(std::move(prefix)) {}

    std::optional<std::string> string(std::string_view name);
    std::optional<bool> boolean(std::string_view name);
    std::optional<std::int64_t> integer(std::string_view name, std::int64_t min, std::int64_t max);
    std::optional<double> number(std::string_view name, double min, double max, Bound lower = Bound::closed);
    // Any 64-bit integer, signed or not.
    std::optional<std::uint64_t> seed(std::string_view name);
    // One string or a list of up to 16, each of 1 to 256 bytes.
    std::vector<std::string> stop(std::string_view name);
    const boost::json::object* object(std::string_view name);
    const boost::json::array* array(std::string_view name);

    // A named field is refused as unsupported_parameter unless its value asks for nothing: null, false, an
    // empty list, object or string, or the neutral value of its kind (a penalty of 0, an n of 1 ...).
    void refuse_unless_neutral(std::span<const std::string_view> names);
    void refuse_unless_neutral(std::initializer_list<std::string_view> names) {
        refuse_unless_neutral(std::span(names.begin(), names.size()));
    }

    // For rules of the caller's own: `name` must be what `expectation` says. The first problem stays.
    void fail(std::string_view name, std::string_view expectation);
    const std::optional<Error>& error() const { return error_; }

  private:
    const boost::json::value* find(std::string_view name);

    const boost::json::object& object_;
    std::string prefix_;  // of field names in messages
    std::optional<Error> error_;
};

// Fields of /v1/chat/completions that change the meaning of an answer and are not served here.
std::span<const std::string_view> chat_fields_not_served();

}  // namespace solard
