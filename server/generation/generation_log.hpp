// The append-only log of one generation's output. Each reader has a cursor of its own.
#pragma once

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "inference/request.hpp"
#include "server/api/log_delta.hpp"
#include "server/config/error.hpp"
#include "server/generation/call_splitter.hpp"
#include "server/observe/request_times.hpp"
#include "server/observe/waiting_memory.hpp"
#include "server/observe/wakeup.hpp"

namespace solard::server {

class LogReader;

// The engine's latest report about a request which has no token yet.
struct Progress {
    std::int32_t requests_ahead = 0;      // in the queue; 0 after the request has started
    std::int32_t prompt_tokens_done = 0;  // includes cached tokens; 0 unless the prompt is being computed
};

// I/O thread only. The log becomes terminal exactly once: when its last output finishes, or by fail() or
// drop().
class GenerationLog {
  public:
    // Output `i` answers prompt `i / n`, where `n` is the number of outputs of each prompt. `calls` is set if
    // the outputs may call tools.
    explicit GenerationLog(std::uint32_t num_outputs, bool keeps_token_ids = false,
                           std::uint32_t num_prompts = 1, std::optional<CallRules> calls = std::nullopt);
    GenerationLog(const GenerationLog&) = delete;
    GenerationLog& operator=(const GenerationLog&) = delete;

    // The functions which append and fail() do nothing if the log is terminal. append() also does nothing if
    // the delta's output has finished. If a function which appends throws std::bad_alloc, the caller must
    // call fail().
    //
    // append() takes everything but the delta's prompt_logprobs. append_prompt_logprobs() takes the next
    // entries of a prompt, `entries_per_token` for each token; they are stored once, and all outputs of the
    // prompt have them.
    void append(const LogDelta& delta);
    void append_prompt_logprobs(std::uint32_t prompt, std::span<const RankedLogprob> entries,
                                std::size_t entries_per_token);
    void fail(Error error);

    // Charges bytes() to `owner` from now on. If the budget has no room, drop() is called.
    void charge_to(WaitingMemory& memory, std::uint64_t owner);
    // Also charges `bytes`: the memory of the object that owns the log.
    void charge_also(std::size_t bytes);
    // Also charges the bytes of the answer's grammar, until the answer ends.
    void charge_grammar(std::size_t bytes);
    void end_charge() { account_.reset(); }
    // Frees the output and fails with server_overloaded, even if the log is terminal already.
    void drop();
    // Frees memory which was reserved for more output.
    void shrink_to_fit();
    // Returns how many bytes of memory the log holds, itself included.
    std::size_t bytes() const { return bytes_; }

    // Adds `count` tokens of one prompt which were found in the prefix cache. Must be called exactly once for
    // each prompt, when the first token of its output is generated.
    void add_cached_tokens(std::int32_t count) { cached_tokens_ += count; }
    std::int32_t cached_tokens() const { return cached_tokens_; }

    // set_queued() and set_started() record that the engine has reported this state. The first call of each
    // function wakes the readers.
    void set_queued() { set_and_wake(was_queued_); }
    void set_started() { set_and_wake(started_); }
    bool was_queued() const { return was_queued_; }
    bool started() const { return started_; }  // true: the engine has begun to compute the first prompt
    // Does not wake the readers, because code which shows the progress polls this value.
    void set_progress(const Progress& progress) { progress_ = progress; }
    const Progress& progress() const { return progress_; }
    // Sets the times of the generation's first request.
    void set_times(const RequestTimes& times) { times_ = times; }
    const RequestTimes& times() const { return times_; }

    bool terminal() const { return failure_.has_value() || num_finished_ == outputs_.size(); }
    const std::optional<Error>& failure() const { return failure_; }
    std::uint32_t num_tokens() const;  // of all outputs
    std::size_t num_entries() const { return num_entries_; }
    // Returns the time at which the log became terminal, in Unix seconds. Before that time, returns 0.
    std::int64_t ended_at() const { return ended_at_; }
    // Returns the time of the last token or, if the log became terminal by a failure, of the failure. May be
    // called only if the log is terminal.
    Clock::time_point ended() const { return ended_; }
    // read_whole() returns everything that one output has, as one LogDelta. read_all() returns such a
    // LogDelta for every output, in the order of the outputs.
    LogDelta read_whole(std::uint32_t output) const;
    std::vector<LogDelta> read_all() const;

  private:
    friend class LogReader;
    struct Offsets {  // sizes of the three members of an Output, and of its prompt's log-probabilities
        std::size_t text = 0;
        std::size_t logprobs = 0;
        std::size_t token_ids = 0;
        std::size_t prompt_logprobs = 0;
    };
    struct Entry {
        std::uint32_t output;
        std::uint32_t num_tokens;
        FinishReason finish;
        Offsets end;
        std::ptrdiff_t item;  // as in LogDelta
    };
    struct Output {
        std::string text;               // the content of all items, one after the other
        std::vector<AnswerItem> items;  // empty if there are no calls_
        std::optional<CallSplitter> splitter;
        std::vector<TokenLogprob> logprobs;  // as in LogDelta; empty if the request asks for none
        std::vector<TokenId> token_ids;      // empty if keeps_token_ids_ is false
        std::uint32_t num_tokens = 0;
        FinishReason finish = FinishReason::none;
        StopMatch stop;
    };
    void set_and_wake(bool& flag) {
        if (!std::exchange(flag, true)) wake_readers();
    }
    void append_entry(const LogDelta& delta, std::uint32_t num_tokens, FinishReason finish);
    void append_pieces(Output& target, CallSplitter& splitter, const CallRules& calls, const LogDelta& delta);
    static void append_piece(Output& target, const CallPiece& piece, const CallRules& calls);
    Offsets end_of(std::uint32_t output) const;
    std::size_t prompt_of(std::uint32_t output) const {
        return output / (outputs_.size() / prompt_logprobs_.size());
    }
    void set_end_time();
    void wake_readers();
    static std::size_t bytes_of(const Output& output);
    void recount();
    std::size_t charged_bytes() const;
    void charge();

    const std::optional<CallRules> calls_;
    std::vector<CallPiece> pieces_;  // kept to reuse its memory
    std::vector<Entry> entries_;     // empty after drop()
    std::size_t num_entries_ = 0;
    std::vector<Output> outputs_;
    std::vector<std::vector<RankedLogprob>> prompt_logprobs_;  // [prompt], as in LogDelta
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
    std::size_t bytes_ = 0;
    std::size_t charged_also_ = 0;
    std::size_t grammar_bytes_ = 0;
    std::optional<WaitingAccount> account_;
};

// A cursor into a log. The log must outlive the reader. A reader stores only its position, so a slow reader
// needs no more memory than a fast one.
class LogReader {
  public:
    // Reads from the entry with the index `first` on. The log notifies `wakeup` when the reader may have
    // become ready(). `wakeup` must outlive the reader.
    LogReader(GenerationLog& log, Wakeup& wakeup, std::size_t first = 0);
    ~LogReader();
    LogReader(const LogReader&) = delete;
    LogReader& operator=(const LogReader&) = delete;

    // Returns true if there are unread entries, or if the log has failed and read() has not been called after
    // the failure.
    bool ready() const;
    // Suspends until ready() is true, but no longer than `limit`. Returns ready().
    boost::asio::awaitable<bool> wait(std::chrono::steady_clock::duration limit);
    // Suspends until the engine has begun with the first prompt or the log is terminal, but no longer than
    // `limit`.
    boost::asio::awaitable<void> wait_started(std::chrono::steady_clock::duration limit);
    // Suspends until the log is terminal.
    boost::asio::awaitable<void> wait_terminal();
    // Returns the number of entries before the first unread entry.
    std::size_t position() const { return next_entry_; }
    std::size_t num_unread() const {
        return log_.entries_.size() - std::min(next_entry_, log_.entries_.size());
    }
    // Return the item, as in LogDelta, of the first unread entry, which must exist, and of the entry before
    // it, or -1 if there is none.
    std::ptrdiff_t next_item() const { return log_.entries_[next_entry_].item; }
    std::ptrdiff_t last_item() const;
    // Reads as many of the next entries as fit in `max_bytes` and belong to at most `max_outputs` outputs,
    // but at least one entry. Merges the entries of each output into one delta, and returns these deltas,
    // ordered by output. A delta ends where the next item of its output begins. The result is valid until the
    // next call.
    const std::vector<LogDelta>& read(std::size_t max_bytes = SIZE_MAX, std::size_t max_outputs = SIZE_MAX);

  private:
    friend class GenerationLog;
    GenerationLog& log_;
    Wakeup& wakeup_;
    std::size_t next_entry_ = 0;
    bool saw_failure_ = false;
    std::vector<GenerationLog::Offsets> read_;  // [num_outputs], the end of the part already read
    std::vector<LogDelta> deltas_;
};

}  // namespace solard::server
