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

#include "server/config/error.hpp"

namespace solard::server {

inline constexpr std::int64_t max_token_count =
    1 << 24;  // above any context; the model's own limit is checked later
inline constexpr std::size_t max_stop_strings = 16;
inline constexpr std::size_t max_stop_bytes = 256;

// A field that is absent or null is std::nullopt. `object` outlives the reader; names are literals.
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

    // A named field that was not read is refused as unsupported_parameter unless its value asks for nothing:
    // null, false, an empty list, object or string, or the neutral value of its kind (a penalty of 0, an n of
    // 1 ...).
    void refuse_unless_neutral(std::span<const std::string_view> names);
    void refuse_unless_neutral(std::initializer_list<std::string_view> names) {
        refuse_unless_neutral(std::span(names.begin(), names.size()));
    }

    // A field that is known and has no effect.
    void ignore(std::string_view name) { known_.push_back(name); }
    // A field of the object that nothing above ever named is refused as unsupported_parameter.
    void refuse_unknown();

    // For rules of the caller's own: `name` must be what `expectation` says. The first problem stays.
    void fail(std::string_view name, std::string_view expectation);
    void fail(Error problem);
    const std::optional<Error>& error() const { return error_; }

  private:
    const boost::json::value* find(std::string_view name);
    void refuse(std::string_view name);

    const boost::json::object& object_;
    std::string prefix_;                   // of field names in messages
    std::vector<std::string_view> known_;  // names asked for; literals
    std::optional<Error> error_;
};

}  // namespace solard::server
