// The append-only event log of one response. Every form of output is a reader: a cursor into the log.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inference/error.hpp"
#include "inference/request.hpp"
#include "server/api/log_delta.hpp"

namespace solard {

class LogReader;

// I/O thread only. Exactly one terminal: after the last output's finish, or by fail().
class ResponseLog {
  public:
    explicit ResponseLog(std::uint32_t num_outputs, bool keeps_token_ids = false)
        : outputs_(num_outputs), keeps_token_ids_(keeps_token_ids) {}
    ResponseLog(const ResponseLog&) = delete;
    ResponseLog& operator=(const ResponseLog&) = delete;

    // Ignored once the log is terminal.
    void append(const LogDelta& delta);
    void fail(Error error);

    // Of a prompt, found in the prefix cache; told once for each, with its first token.
    void add_cached_tokens(std::int32_t count) { cached_tokens_ += count; }
    std::int32_t cached_tokens() const { return cached_tokens_; }

    bool terminal() const { return failure_.has_value() || num_finished_ == outputs_.size(); }
    const std::optional<Error>& failure() const { return failure_; }
    std::uint32_t num_tokens() const;  // of all outputs
    // Everything of each output, in order.
    std::vector<LogDelta> read_all() const;

  private:
    friend class LogReader;
    struct Entry {
        std::uint32_t output;
        std::uint32_t num_tokens;
        FinishReason finish;
    };
    struct Output {
        std::string text;
        std::vector<TokenLogprob> logprobs;  // as LogDelta's; empty and without memory unless asked for
        std::vector<TokenId> token_ids;      // likewise
        std::uint32_t num_tokens = 0;
        FinishReason finish = FinishReason::none;
        StopMatch stop;
    };
    void wake_readers();

    std::vector<Entry> entries_;
    std::vector<Output> outputs_;
    bool keeps_token_ids_;
    std::size_t num_finished_ = 0;
    std::int32_t cached_tokens_ = 0;
    std::optional<Error> failure_;
    std::vector<LogReader*> readers_;
};

// A cursor. A reader that lags costs its place in the log and nothing else. The log outlives it.
class LogReader {
  public:
    LogReader(ResponseLog& log, const boost::asio::any_io_executor& executor);
    ~LogReader();
    LogReader(const LogReader&) = delete;
    LogReader& operator=(const LogReader&) = delete;

    // Unread entries, or a failure that was not seen yet.
    bool ready() const;
    // Suspends until ready(), at most `limit`; false when the time passed first.
    boost::asio::awaitable<bool> wait(std::chrono::steady_clock::duration limit);
    // Suspends until the log is terminal.
    boost::asio::awaitable<void> wait_terminal();
    // Moves to the end; one delta per output that has news, in order of output. Valid until the next call.
    const std::vector<LogDelta>& read();

  private:
    friend class ResponseLog;
    ResponseLog& log_;
    boost::asio::steady_timer wake_;
    std::size_t next_entry_ = 0;
    bool saw_failure_ = false;
    struct Place {
        std::size_t text = 0;  // into Output's
        std::size_t logprobs = 0;
        std::size_t token_ids = 0;
    };
    std::vector<Place> read_;  // [num_outputs], up to where
    std::vector<LogDelta> deltas_;
};

}  // namespace solard
