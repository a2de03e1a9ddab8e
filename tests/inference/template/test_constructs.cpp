// The constructs of templates one by one. tests/clients/test_chat_templates.py compares random ones with
// Jinja2.
#include <array>
#include <utility>

#include "tests/inference/template/rendering.hpp"

namespace solard::jinja {
namespace {

using Cases = std::vector<std::pair<std::string_view, std::string_view>>;

constexpr std::string_view variables = R"({"name": "Ann", "empty": "", "nothing": null, "list": [3, 1, 2],
    "messages": [{"role": "user", "content": " Hi "}, {"role": "assistant", "content": "Yes"}],
    "tool": {"name": "f", "parameters": {"type": "object", "n": [1, 2.5, true, null]}}, "korean": "안녕"})";

void check(const Cases& cases) {
    for (const auto& [source, expected] : cases) BOOST_TEST(text_of(source, variables) == expected, source);
}

void check_fails(const Cases& cases) {
    for (const auto& [source, part] : cases) {
        const auto text = render(source, variables);
        BOOST_REQUIRE_MESSAGE(!text, source);
        BOOST_TEST(text.error().message.find(part) != std::string::npos,
                   source << ": " << text.error().message);
    }
}

BOOST_AUTO_TEST_SUITE(template_constructs)

BOOST_AUTO_TEST_CASE(white_space_around_tags) {
    check({{"a\n  {% if true %}\n b\n  {% endif %}\nc\n", "a\n b\nc"},
           {"a {%- if true -%} b {%- endif -%} c", "abc"},
           {"  {%+ if true +%}\nb{% endif %}", "  \nb"},
           {"a\n {{ 1 }}\nb", "a\n 1\nb"},
           {"a {{- 1 -}} b", "a1b"},
           {"a\n  {# x #}\nb", "a\nb"},
           {"a {#- x -#} b", "ab"},
           {"{% raw %}{{ x }}{% endraw %}\n!", "{{ x }}!"},
           {"{%- raw -%} {% y %} {%- endraw -%} !", "{% y %}!"},
           {"a\r\nb\r", "a\nb"},
           {"x {% set a = 1 %} y", "x  y"}});
}

BOOST_AUTO_TEST_CASE(literals) {
    check(
        {{R"({{ 'a\n\t\\\'\x41\u00e9\101' }})",
          "a\n\t\\'A\xC3\xA9"
          "A"},
         {"{{ 'a' 'b' }}", "ab"},
         {"{{ [1, 'a', 2.0, none, true, (1,), {'k': 'v'}] }}", "[1, 'a', 2.0, None, True, (1,), {'k': 'v'}]"},
         {"{{ 1_000 + 0x10 + 0b11 }}", "1019"},
         {"{{ 1e3 }} {{ 1.5e-7 }} {{ 1e16 }} {{ 0.1 + 0.2 }}", "1000.0 1.5e-07 1e+16 0.30000000000000004"},
         {"{{ \"it's\" ~ ['it\\'s', '\"\\n'] }}", "it's[\"it's\", '\"\\n']"},
         {"{{ 1, 2 }}", "(1, 2)"}});
}

BOOST_AUTO_TEST_CASE(operators) {
    check({{"{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }}", "3 -4 2 3.5 1024"},
           {"{{ 1 < 2 < 3 }} {{ 1 < 2 > 3 }} {{ 1 == 1.0 }} {{ true == 1 }}", "True False True True"},
           {"{{ 'a' in 'abc' }} {{ 1 not in [1] }} {{ 'name' in tool }}", "True False True"},
           {"{{ 'a' + 'b' }}{{ [1] + [2] }}{{ 'ab' * 2 }}", "ab[1, 2]abab"},
           {"{{ 1 ~ none ~ 'x' }}", "1Nonex"},
           {"{{ empty or 'x' }} {{ name and 'y' }} {{ not empty }}", "x y True"},
           {"{{ 'a' if false else 'b' }}{{ 'a' if false }}", "b"},
           {"{{ -3 | abs }} {{ +4 }}", "3 4"}});
}

BOOST_AUTO_TEST_CASE(items_members_and_slices) {
    check({{"{{ messages[0]['role'] }} {{ messages[-1].content }} {{ tool.parameters.n.1 }}", "user Yes 2.5"},
           {"{{ list[1:] }}{{ list[::-1] }}{{ list[:-1] }}{{ list[5:] }}", "[1, 2][2, 1, 3][3, 1][]"},
           {"{{ korean[0] }} {{ korean[::-1] }} {{ korean | length }}", "안 녕안 2"},
           {"{{ list[9] is undefined }} {{ name.missing is defined }} {{ nothing.x }}", "True False "},
           {"{% for k, v in tool.items() %}{{ k }}{% endfor %} {{ tool.get('x', 'd') }}", "nameparameters d"},
           {"{{ tool.keys() | list }} {{ tool.parameters.type }}", "['name', 'parameters'] object"}});
}

BOOST_AUTO_TEST_CASE(loops) {
    check({{"{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ "
            "loop.length }}"
            "{{ loop.revindex }} {% endfor %}",
            "10TrueFalse22 21FalseTrue21 "},
           {"{% for x in list if x > 1 %}{{ x }}{{ loop.previtem }}|{{ loop.nextitem }} {% endfor %}",
            "3|2 23| "},
           {"{% for x in [] %}a{% else %}b{% endfor %}", "b"},
           {"{% for x in list %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "32"},
           {"{% for x in list %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}", "3"},
           {"{% for x in 'ab' %}{{ loop.cycle('x', 'y') }}{{ loop.changed(1) }}{% endfor %}", "xTrueyFalse"},
           {"{% for x in missing %}a{% endfor %}{% for i in range(3, 0, -2) %}{{ i }}{% endfor %}", "31"},
           {"{% for (a, b) in [(1, 2)] %}{{ a }}{{ b }}{% endfor %}", "12"}});
}

BOOST_AUTO_TEST_CASE(scopes) {
    check({{"{% set x = 0 %}{% for i in list %}{{ x }}{% set x = 9 %}{% endfor %}{{ x }}", "0000"},
           {"{% set ns = namespace(n=0) %}{% for i in list %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
            "6"},
           {"{% if true %}{% set x = 1 %}{% endif %}{{ x }}", "1"},
           {"{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}", "3False"},
           {"{% set a, b = 1, 2 %}{{ b }}{{ a }}", "21"},
           {"{% set t | upper %}x{{ name }}{% endset %}{{ t }}", "XANN"},
           {"{% filter upper %}a{% endfilter %}", "A"}});
}

BOOST_AUTO_TEST_CASE(macros) {
    check({{"{% macro m(a, b='x') %}[{{ a }}{{ b }}]{% endmacro %}{{ m(1) }}{{ m(b=2, a=3) }}{{ m() }}",
            "[1x][32][x]"},
           {"{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(2) }}", "210"},
           {"{% macro m() %}<{{ caller('y') }}>{% endmacro %}{% call(x) m() %}{{ x }}{% endcall %}", "<y>"},
           {"{% generation %}{% set x = 1 %}a{% endgeneration %}{{ x is defined }}", "aFalse"}});
}

BOOST_AUTO_TEST_CASE(filters) {
    check({{"{{ ' a ' | trim }}{{ 'xax' | trim('x') }}", "aa"},
           {"{{ list | sort }}{{ list | sum }}{{ list | max }}{{ list | first }}{{ list | last }}",
            "[1, 2, 3]6332"},
           {"{{ messages | map(attribute='role') | join(',') }}", "user,assistant"},
           {"{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | first }}",
            " Hi "},
           {"{{ messages | rejectattr('role', 'eq', 'user') | list | length }}", "1"},
           {"{{ ['a', none] | select | list }}{{ [1, 2] | reject('odd') | list }}", "['a'][2]"},
           {"{{ missing | default('d') }}{{ empty | d('e', true) }}", "de"},
           {"{{ 'hello wORLD' | title }} {{ 'aB' | upper }} {{ 'ß' | upper }} {{ 'ÄÉ' | lower }}",
            "Hello World AB SS äé"},
           {"{{ '3.7' | int }} {{ 'x' | int(5) }} {{ '2' | float }} {{ 2.5 | round }}", "3 5 2.0 2.0"},
           {"{{ 'a\nb' | indent(2) }}", "a\n  b"},
           {"{{ tool | dictsort | first }}{{ [1, 1, 2] | unique | list }}", "('name', 'f')[1, 2]"},
           {"{{ 'abc' | reverse }}{{ [1, 2] | reverse | list }}{{ 'a b' | wordcount }}", "cba[2, 1]2"},
           {"{{ 'abcb' | replace('b', 'x', 1) }}", "axcb"}});
}

BOOST_AUTO_TEST_CASE(json) {
    check({{"{{ tool | tojson }}",
            R"({"name": "f", "parameters": {"type": "object", "n": [1, 2.5, true, null]}})"},
           {"{{ {'a': [], 'b': {}} | tojson(indent=2) }}", "{\n  \"a\": [],\n  \"b\": {}\n}"},
           {"{{ [1, {'a': 1}] | tojson(indent=1) }}", "[\n 1,\n {\n  \"a\": 1\n }\n]"},
           {"{{ {'b': 1, 'a': '<é>\n'} | tojson(separators=(',', ':'), sort_keys=true) }}",
            "{\"a\":\"<é>\\n\",\"b\":1}"},
           {"{{ 'é' | tojson(ensure_ascii=true) }}", "\"\\u00e9\""}});
}

BOOST_AUTO_TEST_CASE(tests) {
    check({{"{{ name is string }}{{ name is not none }}{{ tool is mapping }}{{ list is iterable }}{{ 1 is "
            "number }}",
            "TrueTrueTrueTrueTrue"},
           {"{{ missing is defined }}{{ missing is undefined }}{{ 1 is string }}{{ 3 is odd }}",
            "FalseTrueFalseTrue"},
           {"{{ true is boolean }}{{ 1 is boolean }}{{ 1 is integer }}{{ 1.0 is float }}{{ 4 is divisibleby "
            "2 }}",
            "TrueFalseTrueTrueTrue"},
           {"{{ 'a' is in ['a'] }}{{ 'A' is upper }}{{ tool is sequence }}", "TrueTrueTrue"}});
}

BOOST_AUTO_TEST_CASE(string_methods) {
    check({{"{{ ' a '.strip() }}{{ 'xxa'.lstrip('x') }}{{ 'a\n'.rstrip() }}", "aaa"},
           {"{{ 'a,b,c'.split(',') }}{{ ' a  b '.split() }}{{ 'a,b,c'.split(',', 1) }}{{ "
            "'a,b'.rsplit(',')[-1] }}",
            "['a', 'b', 'c']['a', 'b']['a', 'b,c']b"},
           {"{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith(('x', 'c')) }}", "TrueTrue"},
           {"{{ 'a-b'.replace('-', '+') }}{{ 'aB'.upper() }}{{ 'aB'.lower() }}{{ 'ab cd'.title() }}",
            "a+bABabAb Cd"},
           {"{{ '안녕'.find('녕') }}{{ 'aa'.count('a') }}{{ '-'.join(['a', 'b']) }}", "12a-b"},
           {"{{ 'a=b'.partition('=') }}{{ 'a\nb'.splitlines() }}{{ 'ab'.removeprefix('a') }}",
            "('a', '=', 'b')['a', 'b']b"}});
}

BOOST_AUTO_TEST_CASE(time_is_shown_by_its_format) {
    const std::string year = text_of("{{ strftime_now('%Y-%m') }}");
    BOOST_TEST(year == "2026-09");
}

BOOST_AUTO_TEST_CASE(faults_name_the_line_and_the_column) {
    check_fails({{"a\n b {{ missing.x }}", "'missing' is undefined (line 2, column"},
                 {"{{ 1 + 'a' }}", "between int and str"},
                 {"{{ name | nope }}", "the filter 'nope' is not supported"},
                 {"{{ name is nope }}", "the test 'nope' is not supported"},
                 {"{{ name.format(1) }}", "the method 'format' is not supported"},
                 {"{{ [].append(1) }}", "'append' is not supported"},
                 {"{{ name() }}", "cannot be called"},
                 {"{{ 1 // 0 }}", "division by zero"},
                 {"{{ 9223372036854775807 + 1 }}", "outside of 64 bits"},
                 {"{% set name.x = 1 %}", "no namespace"},
                 {"{% for a, b in [1] %}{% endfor %}", "cannot be iterated"},
                 {"{{ raise_exception('only text') }}", "refuses this conversation: only text"},
                 {"{% if %}{% endif %}", "line 1, column"},
                 {"{% for x in y %}", "'endfor' is missing"},
                 {"{{ 'a }}", "the string has no end"},
                 {"{{ (1 }}", "line 1"},
                 {"{% import 'x' as y %}", "'import' is not supported"},
                 {"{% break %}", "outside of a loop"}});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::jinja
