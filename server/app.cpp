#include "server/app.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace solard {
namespace {

namespace asio = boost::asio;

// About 2 ms of tokenizing: longer than that would be felt by other streams.
constexpr std::size_t encode_inline_bytes = 8192;

asio::awaitable<std::vector<TokenId>> encode_here(const Tokenizer* tokenizer, std::string text) {
    co_return tokenizer->encode_prompt(text);
}

}  // namespace

asio::awaitable<std::vector<TokenId>> App::encode(std::string text) {
    if (text.size() <= encode_inline_bytes) co_return tokenizer.encode_prompt(text);
    auto work = encode_here(&tokenizer, std::move(text));
    co_return co_await asio::co_spawn(helpers_, std::move(work), asio::use_awaitable);
}

}  // namespace solard
