// The demonstration model in config/demo-model, opened in the same way as the server opens it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "inference/cpu/cpu_backend.hpp"
#include "inference/model/chat_template.hpp"
#include "inference/model/tokenizer.hpp"

namespace solard {

struct DemoModel {
    DemoModel();

    CpuBackend backend(const CpuBackendOptions& options) const { return {source, tensors, config, options}; }
    std::vector<TokenId> encode(const std::vector<ChatMessage>& messages) const {
        return tokenizer.encode_chat(ChatTemplate::solar().render(messages).value()).value();
    }
    std::vector<TokenId> encode(const std::string& question) const {
        return encode(std::vector<ChatMessage>{{Role::user, question}});
    }

    std::filesystem::path folder;
    ModelConfig config;
    WeightSource source;
    ModelTensors tensors;  // views into `source`
    Tokenizer tokenizer;
};

// An example from families.json: a question of one family and its greedy answer.
struct DemoExample {
    std::string question;
    std::string answer;
};
std::vector<DemoExample> demo_examples();

}  // namespace solard
