#include "server/response_log.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace solard {

namespace asio = boost::asio;

void ResponseLog::append(std::uint32_t output, std::string_view text, std::uint32_t num_tokens,
                         FinishReason finish) {
    auto& target = outputs_[output];
    if (failure_ || target.finish != FinishReason::none) return;
    target.text += text;
    target.num_tokens += num_tokens;
    target.finish = finish;
    if (finish != FinishReason::none) ++num_finished_;
    entries_.push_back({output, static_cast<std::uint32_t>(target.text.size()), num_tokens, finish});
    wake_readers();
}

void ResponseLog::fail(Error error) {
    if (terminal()) return;
    failure_ = std::move(error);
    wake_readers();
}

void ResponseLog::wake_readers() {
    for (auto* reader : readers_) reader->wake_.cancel();
}

LogReader::LogReader(ResponseLog& log, const asio::any_io_executor& executor)
    : log_(log), wake_(executor), text_read_(log.outputs_.size()) {
    log_.readers_.push_back(this);
    deltas_.reserve(log.outputs_.size());
}

LogReader::~LogReader() {
    std::erase(log_.readers_, this);
}

bool LogReader::ready() const {
    return next_entry_ < log_.entries_.size() || (log_.failure_.has_value() && !saw_failure_);
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
        const std::string_view text = log_.outputs_[entry.output].text;
        const auto begin = text_read_[entry.output];
        it->text = text.substr(begin, entry.text_end - begin);
    }
    for (const auto& delta : deltas_)
        text_read_[delta.output] += static_cast<std::uint32_t>(delta.text.size());
    saw_failure_ = log_.failure_.has_value();
    return deltas_;
}

}  // namespace solard
