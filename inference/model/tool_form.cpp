#include "inference/model/tool_form.hpp"

namespace solard {
namespace {

// Llama 3.1 and later (https://www.llama.com/docs/model-cards-and-prompt-formats/llama3_1). Its template
// allows one call in an answer.
constexpr ToolForm llama_form{.trigger = R"({"name": ")",
                              .head = R"({"name": ")",
                              .middle = R"(", "parameters": )",
                              .tail = "}",
                              .separator = "",
                              .in_template = true};

// Mistral's list of calls. Only lists of one call are used. The templates want ids of nine letters and
// digits.
constexpr ToolForm mistral_form{.trigger = "[TOOL_CALLS]",
                                .head = R"([TOOL_CALLS][{"name": ")",
                                .middle = R"(", "arguments": )",
                                .tail = "}]",
                                .separator = "",
                                .in_template = true,
                                .id_length = 9};

constexpr ToolForm spaced_mistral_form = [] {
    ToolForm form = mistral_form;
    form.head = R"([TOOL_CALLS] [{"name": ")";
    return form;
}();

}  // namespace

ToolForm tool_form_of(std::string_view source) {
    const auto has = [&](std::string_view text) { return source.find(text) != std::string_view::npos; };
    if (has("tools")) {
        if (has("<tool_call>") && !has("<function=")) return hermes_form;
        if (has("[TOOL_CALLS] [")) return spaced_mistral_form;
        if (has("[TOOL_CALLS]") && !has("[ARGS]")) return mistral_form;
        if (has("Environment: ipython") && has(R"("parameters": )")) return llama_form;
    }
    ToolForm generic = hermes_form;
    generic.in_template = false;
    return generic;
}

}  // namespace solard
