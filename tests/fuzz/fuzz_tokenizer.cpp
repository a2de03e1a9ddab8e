// A target of libFuzzer. The input is a tokenizer.json, a NUL, and a text to encode.
#include <cstdlib>
#include <iostream>
#include <string_view>

#include "inference/model/tokenizer.hpp"
#include "inference/text/utf8.hpp"
#include "tests/support/model_folder.hpp"

namespace {

constexpr std::int32_t vocab_size = 1 << 17;

void require(bool is_true, const char* what) {
    if (is_true) return;
    std::cerr << what << '\n';
    std::abort();
}

void check(const solard::Tokenizer& tokenizer, std::string_view text, solard::EncodeOptions options) {
    const auto ids = tokenizer.encode(text, options);
    if (!ids) {
        require(!ids.error().message.empty(), "an error without a message");
        return;
    }
    for (const solard::TokenId id : *ids)
        require(id >= 0 && id < vocab_size, "a token outside the vocabulary");
    for (const bool skip_special_tokens : {true, false}) {
        const std::string decoded = tokenizer.decode(*ids, skip_special_tokens);
        require(solard::find_invalid_utf8(decoded) == std::string_view::npos, "decoded text is not UTF-8");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    static const solard::ModelFolder folder;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::size_t end = std::min(input.find('\0'), input.size());
    folder.write_text("tokenizer.json", input.substr(0, end));
    const auto tokenizer = solard::Tokenizer::load(folder.path(), vocab_size);
    if (!tokenizer) {
        require(tokenizer.error().message.find('\n') == std::string::npos, "a message of several lines");
        return 0;
    }
    const std::string_view text = input.substr(std::min(end + 1, input.size()));
    check(*tokenizer, text, {.add_special_tokens = true, .parse_special = false});
    check(*tokenizer, text, {.add_special_tokens = false, .parse_special = true});
    return 0;
}
