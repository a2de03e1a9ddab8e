// Renders templates for the comparison with Jinja2. Each line of the standard input is a JSON object with
// "template", "variables" and, if wanted, "trusted" (variables of the folder). Each line of the output is an
// object with either "text" and "trusted" (the text with untrusted bytes replaced by a NUL), or "error".
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "inference/template/template.hpp"

namespace {

namespace json = boost::json;
using namespace solard;

constexpr std::time_t now = 1'790'000'000;  // the tests set the same time

json::object render(const json::object& line) {
    const auto parsed = jinja::Template::parse(line.at("template").as_string());
    if (!parsed) return {{"error", parsed.error().message}};
    std::vector<jinja::Variable> variables;
    for (const auto& [name, value] : line.at("variables").as_object())
        variables.push_back({name, &value, Trust::untrusted});
    if (const auto* trusted = line.if_contains("trusted")) {
        for (const auto& [name, value] : trusted->as_object())
            variables.push_back({name, &value, Trust::trusted});
    }
    const auto text = parsed->render(variables, now);
    if (!text) return {{"error", text.error().message}};
    std::string trusted = text->bytes();
    std::size_t begin = 0;
    for (const auto& run : text->runs()) {
        if (run.trust == Trust::untrusted) trusted.replace(begin, run.end - begin, run.end - begin, '\0');
        begin = run.end;
    }
    return {{"text", text->bytes()}, {"trusted", trusted}};
}

}  // namespace

int main() {
    std::string line;
    while (std::getline(std::cin, line))
        std::cout << json::serialize(render(json::parse(line).as_object())) << '\n';
}
