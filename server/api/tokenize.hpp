// Parses the bodies of POST /tokenize and /detokenize and writes their answers, in vLLM's form, without a
// socket.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "inference/model/tokenizer.hpp"
#include "server/api/chat_completions.hpp"
#include "server/config/error.hpp"

namespace solard::server {

struct TokenizeRequest {
    std::string model;
    std::variant<std::string, ChatPrompt> prompt;
    EncodeOptions encoding;
    bool return_token_strs = false;
};

struct DetokenizeRequest {
    std::string model;
    std::vector<TokenId> tokens;
    bool skip_special_tokens = true;
};

// Has the same errors as parse_chat_request().
result<TokenizeRequest> parse_tokenize_request(std::string_view body, UnknownFields unknown);
// Refuses token ids outside the vocabulary.
result<DetokenizeRequest> parse_detokenize_request(std::string_view body, UnknownFields unknown,
                                                   std::int32_t vocab_size);

// Returns {"count","max_model_len","tokens","token_strs"}. `token_strs` lists the name of each token if
// `return_token_strs` is true; otherwise `token_strs` is null.
std::string tokenize_json(std::span<const TokenId> token_ids, std::int32_t max_model_len,
                          bool return_token_strs, const Tokenizer& tokenizer);
// Returns {"prompt"}.
std::string detokenize_json(const DetokenizeRequest& request, const Tokenizer& tokenizer);
// Returns the prompt which the model would get for a chat request:
// {"model","prompt","token_ids","count","max_model_len"}.
std::string render_json(std::string_view model, std::string_view prompt, std::span<const TokenId> token_ids,
                        std::int32_t max_model_len);

}  // namespace solard::server
