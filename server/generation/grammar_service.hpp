// Compiles the grammars of requests, and keeps them for the next request.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "inference/grammar/compiler.hpp"
#include "inference/model/tokenizer.hpp"
#include "server/config/app_config.hpp"
#include "server/config/error.hpp"
#include "server/generation/compile_process.hpp"
#include "server/generation/worker_thread.hpp"
#include "server/observe/grammar_counts.hpp"

namespace solard::server {

// I/O thread only, except where a member says otherwise.
class GrammarService {
  public:
    // `tokenizer` must outlive the service. `shown` may be the text of a special token which grammars can
    // ask for. Nothing is prepared before the first grammar.
    GrammarService(const AppConfig& config, const Tokenizer& tokenizer, std::int32_t vocab_size,
                   std::vector<TokenId> end_tokens, std::string_view shown);
    GrammarService(const GrammarService&) = delete;
    GrammarService& operator=(const GrammarService&) = delete;

    // Returns the compiled grammar. Owners take turns if several grammars wait. Errors: those of
    // compile_in_child(), with `field`; server_overloaded if the owner has too many jobs.
    boost::asio::awaitable<result<std::shared_ptr<const Grammar>>> compile(JobSource source,
                                                                           GrammarSource grammar,
                                                                           std::string field);
    GrammarCounts counts() const;
    // Waits until no grammar is being compiled.
    void stop() { worker_.join(); }

  private:
    using Compiled = std::shared_ptr<const Grammar>;
    // What is made of the vocabulary before the first grammar.
    struct Prepared {
        Prepared(const GrammarVocabulary& vocabulary, const Tokenizer& tokenizer)
            : shared(vocabulary), loader(vocabulary, tokenizer) {}
        SharedVocabulary shared;
        GrammarLoader loader;
    };

    Compiled find(const std::string& key);
    result<Compiled> compile_now(const GrammarSource& source, const std::string& key);
    void keep(const std::string& key, const Compiled& compiled);

    CompileLimits limits_;
    std::uint64_t max_cache_bytes_;
    const Tokenizer& tokenizer_;
    std::int32_t vocab_size_;
    std::vector<TokenId> end_tokens_;
    std::string shown_;

    // The worker thread, too, uses what follows: under the mutex, except prepared_, which is its own.
    std::unique_ptr<const Prepared> prepared_;
    mutable std::mutex mutex_;
    GrammarCounts counts_;
    std::list<std::pair<std::string, Compiled>> cache_;  // the most recently used first
    std::unordered_map<std::string, decltype(cache_)::iterator> places_;
    std::uint64_t cache_bytes_ = 0;
    WorkerThread worker_;  // the last member: its thread ends first
};

}  // namespace solard::server
