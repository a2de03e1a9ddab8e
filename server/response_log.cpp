#include "server/response_log.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace solard {

namespace asio = boost::asio;

void ResponseLog::append(const LogDelta& delta) {
    auto& target = outputs_[delta.output];
    if (failure_ || target.finish != FinishReason::none) return;
    const Place begin{target.text.size(), target.logprobs.size(), target.token_ids.size()};
    target.text += delta.text;
    target.logprobs.insert(target.logprobs.end(), delta.logprobs.begin(), delta.logprobs.end());
    if (keeps_token_ids_)
        target.token_ids.insert(target.token_ids.end(), delta.token_ids.begin(), delta.token_ids.end());
    target.num_tokens += delta.num_tokens;
    target.finish = delta.finish;
    target.stop = delta.stop;
    if (delta.finish != FinishReason::none) ++num_finished_;
    if (terminal()) note_end();
    entries_.push_back({delta.output, delta.num_tokens, delta.finish, begin});
    wake_readers();
}

void ResponseLog::fail(Error error) {
    if (terminal()) return;
    failure_ = std::move(error);
    note_end();
    wake_readers();
}

void ResponseLog::note_end() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    ended_at_ = std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

std::uint32_t ResponseLog::num_tokens() const {
    std::uint32_t sum = 0;
    for (const auto& output : outputs_) sum += output.num_tokens;
    return sum;
}

LogDelta ResponseLog::read_whole(std::uint32_t output) const {
    const Output& whole = outputs_[output];
    return {.output = output,
            .text = whole.text,
            .num_tokens = whole.num_tokens,
            .finish = whole.finish,
            .stop = whole.stop,
            .logprobs = whole.logprobs,
            .token_ids = whole.token_ids};
}

std::vector<LogDelta> ResponseLog::read_all() const {
    std::vector<LogDelta> all;
    all.reserve(outputs_.size());
    while (all.size() < outputs_.size()) all.push_back(read_whole(static_cast<std::uint32_t>(all.size())));
    return all;
}

void ResponseLog::wake_readers() {
    for (auto* reader : readers_) reader->wake_.cancel();
}

LogReader::LogReader(ResponseLog& log, const asio::any_io_executor& executor, std::size_t first)
    : log_(log),
      wake_(executor),
      next_entry_(std::min(first, log.entries_.size())),
      read_(log.outputs_.size()) {
    // What the entries before it told was read elsewhere.
    for (std::size_t i = 0; i < log.outputs_.size(); ++i) {
        const auto& output = log.outputs_[i];
        const auto unread =
            std::find_if(log.entries_.begin() + static_cast<std::ptrdiff_t>(next_entry_), log.entries_.end(),
                         [i](const auto& entry) { return entry.output == i; });
        read_[i] =
            unread == log.entries_.end()
                ? ResponseLog::Place{output.text.size(), output.logprobs.size(), output.token_ids.size()}
                : unread->begin;
    }
    log_.readers_.push_back(this);
    deltas_.reserve(log.outputs_.size());
}

LogReader::~LogReader() {
    std::erase(log_.readers_, this);
}

bool LogReader::ready() const {
    return next_entry_ < log_.entries_.size() || (log_.failure_.has_value() && !saw_failure_) ||
           log_.was_queued_ != saw_queued_ || log_.started_ != saw_started_;
}

asio::awaitable<bool> LogReader::wait(std::chrono::steady_clock::duration limit) {
    if (ready()) co_return true;
    wake_.expires_after(limit);
    co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
    co_return ready();
}

asio::awaitable<void> LogReader::wait_terminal() {
    while (!log_.terminal()) {
        wake_.expires_at(std::chrono::steady_clock::time_point::max());
        co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
}

const std::vector<LogDelta>& LogReader::read() {
    deltas_.clear();
    for (; next_entry_ < log_.entries_.size(); ++next_entry_) {
        const auto& entry = log_.entries_[next_entry_];
        auto it = std::ranges::lower_bound(deltas_, entry.output, {}, &LogDelta::output);
        if (it == deltas_.end() || it->output != entry.output)
            it = deltas_.insert(it, {.output = entry.output});
        it->num_tokens += entry.num_tokens;
        it->finish = entry.finish;
    }
    // Always up to the end of the log, so its texts need no ends of entries.
    for (auto& delta : deltas_) {
        const auto& output = log_.outputs_[delta.output];
        auto& place = read_[delta.output];
        delta.text = std::string_view(output.text).substr(place.text);
        delta.logprobs = std::span(output.logprobs).subspan(place.logprobs);
        delta.token_ids = std::span(output.token_ids).subspan(place.token_ids);
        delta.stop = output.stop;
        place = {output.text.size(), output.logprobs.size(), output.token_ids.size()};
    }
    saw_failure_ = log_.failure_.has_value();
    saw_queued_ = log_.was_queued_;
    saw_started_ = log_.started_;
    return deltas_;
}

}  // namespace solard
