#include "server/generation/grammar_service.hpp"

#include <malloc.h>

#include <chrono>
#include <string_view>

#include "inference/grammar/vocabulary.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

std::string key_of(const GrammarSource& source) {
    return static_cast<char>(source.kind) + source.text;
}

std::uint64_t bytes_of(const std::string& key, const Grammar& grammar) {
    return 2 * key.size() + grammar.num_bytes();
}

}  // namespace

GrammarService::GrammarService(const AppConfig& config, const Tokenizer& tokenizer, std::int32_t vocab_size,
                               std::vector<TokenId> end_tokens, std::string_view shown)
    : limits_{.time = config.grammar_timeout, .memory = static_cast<std::uint64_t>(config.grammar_memory)},
      max_cache_bytes_(static_cast<std::uint64_t>(config.grammar_cache_size)),
      tokenizer_(tokenizer),
      vocab_size_(vocab_size),
      end_tokens_(std::move(end_tokens)),
      shown_(shown) {}

GrammarCounts GrammarService::counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
}

asio::awaitable<result<std::shared_ptr<const Grammar>>> GrammarService::compile(JobSource source,
                                                                                GrammarSource grammar,
                                                                                std::string field) {
    const std::string key = key_of(grammar);
    if (auto found = find(key)) co_return found;
    if (!worker_.has_capacity(source.owner))
        co_return Error{errc::server_overloaded,
                        "Too many grammars of this client are waiting to be compiled; retry later."};
    auto work = [this, grammar = std::move(grammar), key] { return compile_now(grammar, key); };
    auto compiling = worker_.offload(source, false, std::move(work));
    auto compiled = co_await std::move(compiling);
    if (compiled) co_return *std::move(compiled);
    Error error = compiled.error();
    if (error.code == errc::invalid_value) error.param = std::move(field);
    co_return error;
}

GrammarService::Compiled GrammarService::find(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto place = places_.find(key);
    if (place == places_.end()) return nullptr;
    ++counts_.cache_hits;
    cache_.splice(cache_.begin(), cache_, place->second);
    return cache_.front().second;
}

// Runs on the worker thread.
result<GrammarService::Compiled> GrammarService::compile_now(const GrammarSource& source,
                                                             const std::string& key) {
    if (auto found = find(key)) return found;  // another request had the same grammar
    if (!prepared_)
        prepared_ = std::make_unique<const Prepared>(
            grammar_vocabulary(tokenizer_, vocab_size_, end_tokens_, shown_), tokenizer_);
    const auto begin = std::chrono::steady_clock::now();
    const auto serialized = compile_in_child(source, prepared_->shared, limits_);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    {
        const std::lock_guard lock(mutex_);
        ++(serialized ? counts_.compiled : counts_.refused);
        counts_.compile_seconds += time.count();
    }
    if (!serialized) return serialized.error();
    const auto compiled = prepared_->loader.load(*serialized);
    // Reading takes many small blocks, up to ten times the bytes, which the C library would keep for this
    // thread.
    constexpr std::size_t large = 1 << 20;
    if (serialized->size() > large) ::malloc_trim(0);
    if (!compiled) return to_server_error(compiled.error());
    keep(key, *compiled);
    return *compiled;
}

void GrammarService::keep(const std::string& key, const Compiled& compiled) {
    if (bytes_of(key, *compiled) > max_cache_bytes_) return;
    const std::lock_guard lock(mutex_);
    cache_.emplace_front(key, compiled);
    places_[key] = cache_.begin();
    cache_bytes_ += bytes_of(key, *compiled);
    while (cache_bytes_ > max_cache_bytes_ && !cache_.empty()) {
        const auto& [oldest, grammar] = cache_.back();
        cache_bytes_ -= bytes_of(oldest, *grammar);
        places_.erase(oldest);
        cache_.pop_back();
    }
}

}  // namespace solard::server
