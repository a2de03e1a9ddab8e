// POST /tokenize and /detokenize without a socket, in vLLM's form.
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
    bool add_special_tokens = true;  // BOS
    bool return_token_strs = false;
};

struct DetokenizeRequest {
    std::string model;
    std::vector<TokenId> tokens;
};

// Errors as parse_chat_request().
result<TokenizeRequest> parse_tokenize_request(std::string_view body, UnknownFields unknown);
// `tokens` are within the vocabulary.
result<DetokenizeRequest> parse_detokenize_request(std::string_view body, UnknownFields unknown,
                                                   std::int32_t vocab_size);

// {"count","max_model_len","tokens","token_strs"}; the strings are the text of each token, if wanted.
std::string tokenize_json(std::span<const TokenId> token_ids, std::int32_t max_model_len,
                          bool return_token_strs, const Tokenizer& tokenizer);
// {"prompt"}
std::string detokenize_json(std::span<const TokenId> token_ids, const Tokenizer& tokenizer);
// What a chat request would be to the model: {"model","prompt","token_ids","count","max_model_len"}.
std::string render_json(std::string_view model, std::string_view prompt, std::span<const TokenId> token_ids,
                        std::int32_t max_model_len);

// The text of `token_ids`, which stand at the beginning of one.
std::string text_of(std::span<const TokenId> token_ids, const Tokenizer& tokenizer);

}  // namespace solard::server
