// The tokens that stand before and after every text: the part "post_processor" of tokenizer.json.
#pragma once

#include <vector>

#include "inference/token_id.hpp"
#include "inference/tokenizer/object_reader.hpp"

namespace solard {

struct TextFrame {
    std::vector<TokenId> before;
    std::vector<TokenId> after;
};

// Reads the object "post_processor": TemplateProcessing, ByteLevel (which changes no token) and Sequence. A
// problem is recorded in the reader.
TextFrame read_post_processor(ObjectReader reader);

}  // namespace solard
