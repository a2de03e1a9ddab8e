#include "server/generation/generation_log.hpp"

#include <algorithm>

namespace solard::server {

namespace asio = boost::asio;

void GenerationLog::append(const LogDelta& delta) {
    auto& target = outputs_[delta.output];
    if (failure_ || target.finish != FinishReason::none) return;
    target.text += delta.text;
    target.logprobs.insert(target.logprobs.end(), delta.logprobs.begin(), delta.logprobs.end());
    if (keeps_token_ids_)
        target.token_ids.insert(target.token_ids.end(), delta.token_ids.begin(), delta.token_ids.end());
    target.num_tokens += delta.num_tokens;
    target.finish = delta.finish;
    target.stop = delta.stop;
    if (delta.finish != FinishReason::none) ++num_finished_;
    if (terminal()) set_end_time();
    entries_.push_back({delta.output,
                        delta.num_tokens,
                        delta.finish,
                        {target.text.size(), target.logprobs.size(), target.token_ids.size()}});
    wake_readers();
}

void GenerationLog::fail(Error error) {
    if (terminal()) return;
    failure_ = std::move(error);
    set_end_time();
    wake_readers();
}

void GenerationLog::set_end_time() {
    ended_ = Clock::now();
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    ended_at_ = std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

std::uint32_t GenerationLog::num_tokens() const {
    std::uint32_t sum = 0;
    for (const auto& output : outputs_) sum += output.num_tokens;
    return sum;
}

LogDelta GenerationLog::read_whole(std::uint32_t output) const {
    const Output& whole = outputs_[output];
    return {.output = output,
            .text = whole.text,
            .num_tokens = whole.num_tokens,
            .finish = whole.finish,
            .stop = whole.stop,
            .logprobs = whole.logprobs,
            .token_ids = whole.token_ids};
}

std::vector<LogDelta> GenerationLog::read_all() const {
    std::vector<LogDelta> all;
    all.reserve(outputs_.size());
    while (all.size() < outputs_.size()) all.push_back(read_whole(static_cast<std::uint32_t>(all.size())));
    return all;
}

void GenerationLog::wake_readers() {
    for (auto* reader : readers_) reader->wakeup_.notify();
}

LogReader::LogReader(GenerationLog& log, Wakeup& wakeup, std::size_t first)
    : log_(log),
      wakeup_(wakeup),
      next_entry_(std::min(first, log.entries_.size())),
      read_(log.outputs_.size()) {
    // Another reader has read the entries before `first`.
    for (std::size_t i = 0; i < next_entry_; ++i) read_[log.entries_[i].output] = log.entries_[i].end;
    log_.readers_.push_back(this);
    deltas_.reserve(log.outputs_.size());
}

LogReader::~LogReader() {
    std::erase(log_.readers_, this);
}

bool LogReader::ready() const {
    return num_unread() > 0 || (log_.failure_.has_value() && !saw_failure_);
}

asio::awaitable<bool> LogReader::wait(std::chrono::steady_clock::duration limit) {
    const auto deadline = Wakeup::Clock::now() + limit;
    while (!ready() && Wakeup::Clock::now() < deadline) co_await wakeup_.sleep_until(deadline);
    co_return ready();
}

asio::awaitable<void> LogReader::wait_terminal() {
    while (!log_.terminal()) co_await wakeup_.sleep_until(Wakeup::Clock::time_point::max());
}

const std::vector<LogDelta>& LogReader::read(std::size_t max_bytes, std::size_t max_outputs) {
    deltas_.clear();
    std::size_t num_bytes = 0;
    for (; next_entry_ < log_.entries_.size(); ++next_entry_) {
        const auto& entry = log_.entries_[next_entry_];
        auto& place = read_[entry.output];
        const std::size_t logprobs = entry.end.logprobs - place.logprobs;
        num_bytes += entry.end.text - place.text + logprobs * sizeof(TokenLogprob) +
                     (entry.end.token_ids - place.token_ids) * sizeof(TokenId);
        if (num_bytes > max_bytes && !deltas_.empty()) break;
        auto it = std::ranges::lower_bound(deltas_, entry.output, {}, &LogDelta::output);
        if (it == deltas_.end() || it->output != entry.output) {
            if (deltas_.size() == max_outputs) break;
            it = deltas_.insert(it, {.output = entry.output});
            const auto& output = log_.outputs_[entry.output];
            it->text = std::string_view(output.text).substr(place.text, 0);
            it->logprobs = std::span(output.logprobs).subspan(place.logprobs, 0);
            it->token_ids = std::span(output.token_ids).subspan(place.token_ids, 0);
        }
        it->num_tokens += entry.num_tokens;
        it->finish = entry.finish;
        it->text = {it->text.data(), it->text.size() + entry.end.text - place.text};
        it->logprobs = {it->logprobs.data(), it->logprobs.size() + logprobs};
        it->token_ids = {it->token_ids.data(), it->token_ids.size() + entry.end.token_ids - place.token_ids};
        it->stop = log_.outputs_[entry.output].stop;
        place = entry.end;
    }
    saw_failure_ = log_.failure_.has_value();
    return deltas_;
}

}  // namespace solard::server
