// Renders templates for the tests of the interpreter.
#pragma once

#include <boost/json/parse.hpp>
#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "inference/template/template.hpp"

namespace solard::jinja {

inline constexpr std::time_t test_time = 1'790'000'000;

// Renders with the members of two JSON objects as variables: those of a request, and those of the folder.
inline result<MarkedText> render(std::string_view source, std::string_view request = "{}",
                                 std::string_view folder = "{}", const Limits& limits = {}) {
    const auto parsed = Template::parse(source, limits);
    if (!parsed) return parsed.error();
    const auto untrusted = boost::json::parse(request).as_object();
    const auto trusted = boost::json::parse(folder).as_object();
    std::vector<Variable> variables;
    for (const auto& [name, value] : untrusted) variables.push_back({name, &value, Trust::untrusted});
    for (const auto& [name, value] : trusted) variables.push_back({name, &value, Trust::trusted});
    return parsed->render(variables, test_time);
}

inline std::string text_of(std::string_view source, std::string_view request = "{}") {
    const auto text = render(source, request);
    return text ? text->bytes() : "error: " + text.error().message;
}

// Returns the text with a dot for each untrusted byte.
inline std::string trusted_part(const MarkedText& text) {
    std::string trusted;
    for (std::size_t i = 0; i < text.size(); ++i)
        trusted += text.trust_at(i) == Trust::trusted ? text.bytes()[i] : '.';
    return trusted;
}

}  // namespace solard::jinja
