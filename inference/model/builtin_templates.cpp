#include "inference/model/builtin_templates.hpp"

#include <algorithm>
#include <array>

namespace solard {
namespace {

struct Row {
    std::string_view name;
    std::string_view source;
};

constexpr std::string_view solar = R"(
{%- for message in messages %}
    {%- if message.role == 'system' %}
        {%- if message.content %}{{ '### System:\n' + message.content + '\n\n' }}{% endif %}
    {%- elif message.role == 'user' %}{{ '### User:\n' + message.content + '\n\n' }}
    {%- elif message.role == 'assistant' %}{{ '### Assistant:\n' + message.content }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '### Assistant:\n' }}{% endif %})";

constexpr std::string_view chatml = R"(
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})";

constexpr std::string_view llama2 = R"(
{%- set ns = namespace(system='', expected='user') %}
{%- for message in messages %}
    {%- if message.role == 'system' and loop.first %}
        {%- set ns.system = '<<SYS>>\n' + message.content + '\n<</SYS>>\n\n' %}
    {%- elif message.role != ns.expected %}
        {{- raise_exception('after an optional system message, user and assistant must alternate') }}
    {%- elif message.role == 'user' %}
        {{- bos_token + '[INST] ' + (ns.system + message.content) | trim + ' [/INST]' }}
        {%- set ns.system = '' %}
        {%- set ns.expected = 'assistant' %}
    {%- else %}
        {{- ' ' + message.content | trim + ' ' + eos_token }}
        {%- set ns.expected = 'user' %}
    {%- endif %}
{%- endfor %})";

constexpr std::string_view llama3 = R"(
{{- bos_token }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' }}
    {{- message.content | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %})";

constexpr std::string_view mistral = R"(
{{- bos_token }}
{%- set ns = namespace(system='', expected='user') %}
{%- for message in messages %}
    {%- if message.role == 'system' and loop.first %}
        {%- set ns.system = message.content + '\n\n' %}
    {%- elif message.role != ns.expected %}
        {{- raise_exception('after an optional system message, user and assistant must alternate') }}
    {%- elif message.role == 'user' %}
        {{- '[INST] ' + ns.system + message.content + ' [/INST]' }}
        {%- set ns.system = '' %}
        {%- set ns.expected = 'assistant' %}
    {%- else %}
        {{- ' ' + message.content | trim + eos_token }}
        {%- set ns.expected = 'user' %}
    {%- endif %}
{%- endfor %})";

constexpr std::string_view zephyr = R"(
{%- for message in messages %}
    {{- '<|' + message.role + '|>\n' + message.content + eos_token + '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %})";

constexpr std::string_view vicuna = R"(
{%- if messages and messages[0].role == 'system' %}
    {%- set system = messages[0].content %}
    {%- set turns = messages[1:] %}
{%- else %}
    {%- set system = 'A chat between a curious user and an artificial intelligence assistant. '
        + 'The assistant gives helpful, detailed, and polite answers to the user\'s questions.' %}
    {%- set turns = messages %}
{%- endif %}
{{- bos_token + system }}
{%- for message in turns %}
    {%- if message.role == 'user' %}{{ ' USER: ' + message.content }}
    {%- elif message.role == 'assistant' %}{{ ' ASSISTANT: ' + message.content + eos_token }}
    {%- else %}{{ raise_exception('only the first message can be a system message') }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ ' ASSISTANT:' }}{% endif %})";

constexpr auto rows = std::to_array<Row>({{"solar", solar},
                                          {"chatml", chatml},
                                          {"llama2", llama2},
                                          {"llama3", llama3},
                                          {"mistral", mistral},
                                          {"zephyr", zephyr},
                                          {"vicuna", vicuna}});

}  // namespace

std::optional<std::string_view> builtin_template(std::string_view name) {
    const auto row = std::ranges::find(rows, name, &Row::name);
    if (row == rows.end()) return std::nullopt;
    return row->source;
}

std::string builtin_template_names() {
    std::string names;
    for (const Row& row : rows) {
        if (!names.empty()) names += ", ";
        names += row.name;
    }
    return names;
}

}  // namespace solard
