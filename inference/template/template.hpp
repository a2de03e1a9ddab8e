// Evaluates chat templates: our own interpreter of the part of Jinja that they use.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "inference/error.hpp"
#include "inference/template/limits.hpp"
#include "inference/text/marked_text.hpp"

namespace solard::jinja {

// A variable of a template.
struct Variable {
    std::string_view name;
    const boost::json::value* value;
    Trust trust;  // of all strings in the value
};

// A parsed template. It is immutable, cheap to copy, and any thread may render it. A template sees only the
// values that are passed to render(): it reads no file, and nothing of the process but the time.
class Template {
  public:
    // Errors: bad_model, with a message such as "line 3, column 5: the tag 'include' is not supported".
    static result<Template> parse(std::string_view source, const Limits& limits = {});

    // Returns the text. Characters of the template and of trusted variables are trusted; characters of
    // untrusted variables, and those which are made from numbers and other values, are not. `now` is what
    // strftime_now() shows. Errors: invalid_request, with a sentence that says what the template refused,
    // which limit was reached, or what is wrong at which line and column. `max_steps` can lower the limit of
    // steps for this rendering.
    result<MarkedText> render(std::span<const Variable> variables, std::time_t now,
                              std::size_t max_steps = SIZE_MAX) const;

  private:
    struct Parsed;
    explicit Template(std::shared_ptr<const Parsed> parsed) : parsed_(std::move(parsed)) {}
    std::shared_ptr<const Parsed> parsed_;
};

}  // namespace solard::jinja
