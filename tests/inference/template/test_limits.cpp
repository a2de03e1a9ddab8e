// Every rendering ends, however hostile the template or the conversation is.
#include <ctime>
#include <iostream>

#include "tests/inference/template/rendering.hpp"

namespace solard::jinja {
namespace {

bool is_accepted(std::string_view source, const Limits& limits) {
    return render(source, "{}", "{}", limits).has_value();
}

void check_limit(std::string_view source, const Limits& limits, std::string_view part) {
    const auto text = render(source, "{}", "{}", limits);
    BOOST_REQUIRE_MESSAGE(!text, source.substr(0, 200));
    BOOST_TEST(text.error().message.find(part) != std::string::npos, text.error().message);
}

std::string repeated(std::string_view text, std::size_t count) {
    std::string all;
    for (std::size_t i = 0; i < count; ++i) all += text;
    return all;
}

BOOST_AUTO_TEST_SUITE(template_limits)

BOOST_AUTO_TEST_CASE(size_of_the_source_is_limited) {
    BOOST_TEST(is_accepted("12345", {.source_bytes = 5}));
    check_limit("123456", {.source_bytes = 5}, "has 6 bytes, expected at most 5");
}

BOOST_AUTO_TEST_CASE(nesting_of_the_source_is_limited) {
    const auto parentheses = [](std::size_t n) {
        return "{{ " + repeated("(", n) + "1" + repeated(")", n) + " }}";
    };
    const auto blocks = [](std::size_t n) { return repeated("{% if 1 %}", n) + repeated("{% endif %}", n); };
    // The template itself and the outermost expression are levels too.
    BOOST_TEST(is_accepted(parentheses(8), {.syntax_depth = 10}));
    check_limit(parentheses(9), {.syntax_depth = 10}, "nested deeper than 10 levels");
    BOOST_TEST(is_accepted(blocks(9), {.syntax_depth = 10}));
    check_limit(blocks(10), {.syntax_depth = 10}, "nested deeper than 10 levels");
}

BOOST_AUTO_TEST_CASE(depth_of_the_evaluation_is_limited) {
    const std::string counter = "{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}";
    std::size_t smallest = 1;
    while (!is_accepted(counter + "{{ f(3) }}", {.depth = smallest})) ++smallest;
    BOOST_TEST(smallest > 6U);
    check_limit(counter + "{{ f(3) }}", {.depth = smallest - 1}, "nested deeper than");
    check_limit(counter + "{{ f(100000) }}", {}, "nested deeper than 300 levels");
}

BOOST_AUTO_TEST_CASE(members_of_a_namespace_are_charged) {
    std::string entries;
    for (int i = 0; i < 50; ++i) entries += "'k" + std::to_string(i) + "': 1, ";
    const std::string source =
        "{% set d = {" + entries + "} %}{% for i in range(1000) %}{% set n = namespace(d) %}{% endfor %}";
    check_limit(source, {.value_bytes = 1 << 20}, "bytes");
    BOOST_TEST(is_accepted(source, {.value_bytes = 4 << 20}));
}

BOOST_AUTO_TEST_CASE(search_in_outer_scopes_is_charged) {
    const std::string search = "{% for i in range(1000) %}{% if x %}{% endif %}{% endfor %}";
    const std::string deep = repeated("{% for i in [1] %}", 60) + search + repeated("{% endfor %}", 60);
    BOOST_TEST(is_accepted("{% set x = 1 %}" + search, {.steps = 12'000}));
    check_limit("{% set x = 1 %}" + deep, {.steps = 12'000}, "steps");
}

BOOST_AUTO_TEST_CASE(steps_are_limited) {
    const std::string source = "{% for i in range(10) %}{{ i }}{% endfor %}";
    std::size_t smallest = 1;
    while (!is_accepted(source, {.steps = smallest})) ++smallest;
    BOOST_TEST(smallest > 40U);
    check_limit(source, {.steps = smallest - 1}, "more than " + std::to_string(smallest - 1) + " steps");
}

BOOST_AUTO_TEST_CASE(size_of_the_prompt_is_limited) {
    BOOST_TEST(is_accepted("abc{{ 'de' }}", {.output_bytes = 5}));
    check_limit("abc{{ 'def' }}", {.output_bytes = 5}, "more than 5 bytes");
}

BOOST_AUTO_TEST_CASE(memory_of_values_is_limited) {
    const std::string source = "{% set x = 'abcdefghij' * 100 %}";
    std::size_t smallest = 1000;
    while (!is_accepted(source, {.value_bytes = smallest})) ++smallest;
    check_limit(source, {.value_bytes = smallest - 1}, std::to_string(smallest - 1) + " bytes");
}

BOOST_AUTO_TEST_CASE(number_of_a_range_is_limited) {
    BOOST_TEST(text_of("{{ range(100000) | length }}") == "100000");
    check_limit("{{ range(100001) | length }}", {}, "more than 100000 numbers");
    check_limit("{{ range(-9223372036854775807, 9223372036854775807) | length }}", {},
                "more than 100000 numbers");
}

BOOST_AUTO_TEST_CASE(hostile_templates_end_at_a_limit) {
    const std::string loop = "{% for i in range(100000) %}{% for j in range(100000) %}";
    const std::vector<std::string> sources{
        loop + "{% endfor %}{% endfor %}",
        loop + "x{% endfor %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ "
        "ns.x }}",
        "{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x "
        "| tojson }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ "
        "ns.x }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}"
        "{{ ns.x == [ns.x[0], ns.x[1]] }}{{ ns.x | tojson(indent=4) }}",
        "{{ 'a' * 9223372036854775807 }}",
        "{{ '' * 9223372036854775807 }}",
        "{{ [] * 9223372036854775807 }}",
        "{{ [1] * 9223372036854775807 }}",
        "{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}",
        "{{ ('a' * 1000000) | replace('', 'b' * 1000) }}",
        "{{ (['a' * 1000000] * 1000) | join('b' * 1000000) }}",
        "{{ 'a\n' * 1000000 | indent(1000000) }}",
        "{{ ('a\n' * 100000) | indent(1000000) }}",
        "{{ [1] | tojson(indent=9223372036854775807) }}",
        "{% for c in 'a' * 10000000 %}{% endfor %}",
        "{{ ('a' * 10000000) | list | length }}",
        "{{ ('a' * 10000000).split('a') | length }}",
        "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{{ s[i] }}{% endfor %}",
        "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{{ s | upper | length }}{% endfor %}",
        "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{% if 'b' in s %}{% endif %}{% endfor %}",
        "{% set s = 'a' * 400000 %}{% set n = 'a' * 200000 ~ 'b' %}{% for i in range(100000) %}{{ s.find(n) "
        "}}{% endfor %}",
        "{% set s = 'a' * 400000 %}{% set n = 'b' ~ 'a' * 200000 %}{% for i in range(100000) %}{{ s.rfind(n) "
        "}}{% endfor %}",
        "{% set k = 'a' * 100000 %}{% set d = {k ~ 'b': 1, k ~ 'c': 1} %}{% for i in range(100000) %}{{ d[k "
        "~ 'd'] }}{% endfor %}",
        "{% set s = ' ' * 1000000 %}{% for i in range(100000) %}{{ s.strip() }}{% endfor %}",
        "{% set s = 'a' * 30000000 %}{% for i in range(100000) %}{{ s == s }}{% endfor %}",
        "{% for i in range(100000) %}{{ range(100000) | sort | length }}{% endfor %}",
        "{% for i in range(100000) %}{{ range(100000) | unique | list | length }}{% endfor %}",
        "{% for i in range(100000) %}{% set x = range(100000) | list %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(x) %}{{ caller() }}{% endmacro %}{% call f(1) %}{% call f(2) %}{{ f(3) }}{% endcall %}{% "
        "endcall %}",
        "{{ 2 ** 9223372036854775807 }}",
        "{% set ns = namespace() %}{% set ns.x = ns %}{{ [ns.x, ns] == [ns, ns.x] }}{{ ns.x }}",
        "{{ " + repeated("(", 10000) + repeated(")", 10000) + " }}",
        "{{ " + repeated("[", 10000),
        "{{ " + repeated("not ", 10000) + "1 }}",
        "{{ " + repeated("-", 10000) + "1 }}",
        "{{ 1" + repeated(" + 1", 10000) + " }}",
        "{{ 1" + repeated(" | abs", 10000) + " }}",
        "{{ x" + repeated(".x", 10000) + " }}",
        "{{ 1" + repeated(" if 1 else 1", 10000) + " }}",
        "{{ [1] | map('map'" + repeated(", 'map'", 10000) + ") | list }}",
        repeated("{% if 1 %}", 10000),
        repeated("{% for x in y %}", 10000)};
    for (const std::string& source : sources) {
        const std::clock_t begin = std::clock();
        const auto text = render(source);
        const auto milliseconds = 1000 * (std::clock() - begin) / CLOCKS_PER_SEC;
        std::cout << milliseconds << " ms: " << source.substr(0, 100) << ": "
                  << (text ? "rendered" : text.error().message.substr(0, 120)) << '\n';
        BOOST_TEST(!text.has_value(), source.substr(0, 200));
    }
}

BOOST_AUTO_TEST_CASE(conversation_that_fits_every_model_is_far_from_the_limits) {
    std::string messages = "[";
    for (int i = 0; i < 1000; ++i) {
        if (i > 0) messages += ',';
        messages += R"({"role": "user", "content": ")" + std::string(1000, 'x') + "\"}";
    }
    const auto text = render(
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] | trim "
        "+ "
        "'<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% "
        "endif %}",
        R"({"messages": )" + messages + "]}", "{}", {.steps = Limits{}.steps / 2});
    BOOST_TEST(text.has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::jinja
