// The tokenizer of config/demo-model, loaded once.
#pragma once

#include "inference/model/tokenizer.hpp"

namespace solard {

inline const Tokenizer& demo_tokenizer() {
    constexpr std::int32_t vocab_size = 1 << 20;  // an upper limit for the number of pieces
    static const Tokenizer tokenizer =
        Tokenizer::load(SOLARD_SOURCE_DIR "/config/demo-model", vocab_size).value();
    return tokenizer;
}

}  // namespace solard
