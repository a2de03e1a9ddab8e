// Renders chat messages to a prompt, with the template of the model's folder.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "inference/error.hpp"
#include "inference/model/chat_message.hpp"
#include "inference/model/tool_form.hpp"
#include "inference/text/marked_text.hpp"

namespace solard {

// How a prompt ends.
enum class PromptEnd {
    assistant_turn,     // an open assistant block asks for an answer
    last_message,       // the whole text of the last message, with whatever the template puts after it
    continued_message,  // the content of the last message, so that the answer continues it
};

// What a template can read of a request besides the messages.
struct TemplateInputs {
    boost::json::array tools;      // in OpenAI's form for chats; empty: there are none
    boost::json::array documents;  // empty: the template sees none
    boost::json::object kwargs;    // further variables by their names
};

// The text format in which a model was trained to read a conversation. An object is cheap to copy, and any
// thread may use it.
class ChatTemplate {
  public:
    // Reads the folder's template: chat_template.jinja, else `chat_template` in tokenizer_config.json, which
    // is a string or a list of templates with names. Of the list, the template "default" is taken, or
    // "tool_use" for a conversation with tools; beside chat_template.jinja, that one is
    // additional_chat_templates/tool_use.jinja. If `override_name` is given, it is the name of a built-in
    // template or of a file, which is taken instead. The variables bos_token, eos_token and the like come
    // from tokenizer_config.json. A folder without a template is accepted, but render() fails. Errors:
    // bad_model, with a message that names the file and the place; bad_configuration if nothing has the name
    // `override_name`.
    static result<ChatTemplate> load(const std::filesystem::path& folder,
                                     const std::optional<std::string>& override_name);
    // Returns the built-in template "solar".
    static ChatTemplate solar();

    // Returns false if the folder has no template.
    bool exists() const;

    // Returns how an answer must write the calls of `tools`.
    ToolForm tool_form() const;

    // Returns the prompt of a conversation. If the template knows no tools, they become text of the messages.
    // Only characters of the template and of the folder's configuration are trusted. Takes at most 50 ms, and
    // fails after `max_steps` steps of the interpreter, of which 8 take at most a microsecond. Errors:
    // invalid_request, with a sentence that says why: no template, a refusal of the template, a limit, or
    // what the template cannot do with this conversation.
    result<MarkedText> render(std::span<const ChatMessage> messages,
                              PromptEnd end = PromptEnd::assistant_turn, const TemplateInputs& inputs = {},
                              std::size_t max_steps = SIZE_MAX) const;

    // Returns true for the names of variables and functions which `kwargs` must not set.
    static bool is_reserved(std::string_view name);

  private:
    struct Parts;
    explicit ChatTemplate(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}
    std::shared_ptr<const Parts> parts_;
};

}  // namespace solard
