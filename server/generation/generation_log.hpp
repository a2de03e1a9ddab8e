// The append-only event log of one response. Every form of output is a reader: a cursor into the log.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "inference/request.hpp"
#include "server/api/log_delta.hpp"
#include "server/config/error.hpp"
#include "server/observe/request_times.hpp"
#include "server/observe/wakeup.hpp"

namespace solard::server {

class LogReader;

// The last that the engine told of a request's way to its first token.
struct Progress {
    std::int32_t requests_ahead = 0;      // while it waits
    std::int32_t prompt_tokens_done = 0;  // while its prompt is computed; cached ones included
};

// I/O thread only. Exactly one terminal: after the last output's finish, or by fail().
class GenerationLog {
  public:
    explicit GenerationLog(std::uint32_t num_outputs, bool keeps_token_ids = false)
        : outputs_(num_outputs), keeps_token_ids_(keeps_token_ids) {}
    GenerationLog(const GenerationLog&) = delete;
    GenerationLog& operator=(const GenerationLog&) = delete;

    // Ignored once the log is terminal.
    void append(const LogDelta& delta);
    void fail(Error error);

    // Of a prompt, found in the prefix cache; told once for each, with its first token.
    void add_cached_tokens(std::int32_t count) { cached_tokens_ += count; }
    std::int32_t cached_tokens() const { return cached_tokens_; }

    // Where the engine stands with it, told as it learns of it.
    void set_queued() { tell(was_queued_); }
    void set_started() { tell(started_); }
    bool was_queued() const { return was_queued_; }
    bool started() const { return started_; }  // its first prompt is being computed, or was
    // Wakes nobody: who shows it looks now and then.
    void set_progress(const Progress& progress) { progress_ = progress; }
    const Progress& progress() const { return progress_; }
    // Of its first request.
    void set_times(const RequestTimes& times) { times_ = times; }
    const RequestTimes& times() const { return times_; }

    bool terminal() const { return failure_.has_value() || num_finished_ == outputs_.size(); }
    const std::optional<Error>& failure() const { return failure_; }
    std::uint32_t num_tokens() const;  // of all outputs
    std::size_t num_entries() const { return entries_.size(); }
    // Unix seconds of the end; 0 before.
    std::int64_t ended_at() const { return ended_at_; }
    Clock::time_point ended() const { return ended_; }
    // Everything of one output, and of each in order.
    LogDelta read_whole(std::uint32_t output) const;
    std::vector<LogDelta> read_all() const;

  private:
    friend class LogReader;
    struct Place {  // in an Output's
        std::size_t text = 0;
        std::size_t logprobs = 0;
        std::size_t token_ids = 0;
    };
    struct Entry {
        std::uint32_t output;
        std::uint32_t num_tokens;
        FinishReason finish;
        Place end;
    };
    struct Output {
        std::string text;
        std::vector<TokenLogprob> logprobs;  // as LogDelta's; empty and without memory unless asked for
        std::vector<TokenId> token_ids;      // likewise
        std::uint32_t num_tokens = 0;
        FinishReason finish = FinishReason::none;
        StopMatch stop;
    };
    void tell(bool& what) {
        if (!std::exchange(what, true)) wake_readers();
    }
    void note_end();
    void wake_readers();

    std::vector<Entry> entries_;
    std::vector<Output> outputs_;
    bool keeps_token_ids_;
    std::size_t num_finished_ = 0;
    std::int32_t cached_tokens_ = 0;
    std::int64_t ended_at_ = 0;
    Clock::time_point ended_{};
    bool was_queued_ = false;
    bool started_ = false;
    Progress progress_;
    RequestTimes times_;
    std::optional<Error> failure_;
    std::vector<LogReader*> readers_;
};

// A cursor. A reader that lags costs its place in the log and nothing else. The log outlives it.
class LogReader {
  public:
    // Reads from the entry `first` on. `wakeup` is notified of whatever makes it ready(), and outlives it.
    LogReader(GenerationLog& log, Wakeup& wakeup, std::size_t first = 0);
    ~LogReader();
    LogReader(const LogReader&) = delete;
    LogReader& operator=(const LogReader&) = delete;

    // Unread entries, or a failure that was not seen yet.
    bool ready() const;
    // Suspends until ready(), at most `limit`; false when the time passed first.
    boost::asio::awaitable<bool> wait(std::chrono::steady_clock::duration limit);
    // Suspends until the log is terminal.
    boost::asio::awaitable<void> wait_terminal();
    // Entries read.
    std::size_t position() const { return next_entry_; }
    std::size_t num_unread() const { return log_.entries_.size() - next_entry_; }
    // Moves on by entries of up to `max_bytes` together, or by one that is larger; one delta per output that
    // has news, in order of output. Valid until the next call.
    const std::vector<LogDelta>& read(std::size_t max_bytes = SIZE_MAX);

  private:
    friend class GenerationLog;
    GenerationLog& log_;
    Wakeup& wakeup_;
    std::size_t next_entry_ = 0;
    bool saw_failure_ = false;
    std::vector<GenerationLog::Place> read_;  // [num_outputs], up to where
    std::vector<LogDelta> deltas_;
};

}  // namespace solard::server
