#include "server/responses/response_cursor.hpp"

namespace solard::server {
namespace {

constexpr std::size_t max_delta_bytes = 16 << 10;

ResponseCursor::Clock::duration spacing_of(double max_hz) {
    if (max_hz == 0) return {};
    return std::chrono::duration_cast<ResponseCursor::Clock::duration>(
        std::chrono::duration<double>(1 / max_hz));
}

}  // namespace

ResponseCursor::ResponseCursor(ResponsePtr record, const Tokenizer& tokenizer, Wakeup& wakeup, EventForm form,
                               std::int64_t starting_after)
    : record_(std::move(record)),
      max_bytes_(form.server_sent ? max_piece_bytes : SIZE_MAX),
      events_(record_->facts, tokenizer, std::move(form), starting_after),
      reader_(*record_->log, wakeup, events_.first_entry()),
      spacing_(spacing_of(record_->facts.request.max_delta_hz)) {
    events_.set_item(reader_.last_item());
}

bool ResponseCursor::next(Clock::time_point now, std::string& out) {
    if (!event_.empty()) return continue_event(out);
    state_ = record_->state();
    if (events_.begin(state_, out)) return true;
    while (reader_.num_unread() > 0 && (now >= next_delta_ || state_.is_terminal())) {
        if (state_.has_output && events_.change_item(state_, reader_.position(), reader_.next_item(), out))
            return true;
        const std::size_t before = reader_.position();
        const LogDelta delta = reader_.read(max_delta_bytes).front();
        if (!state_.has_output) continue;
        if (!events_.delta(state_, delta, reader_.position(), reader_.position() - before, out)) continue;
        next_delta_ = now + spacing_;
        return true;
    }
    if (!state_.is_terminal()) return false;
    const bool more = events_.end(state_, reader_.position(), event_);
    render_piece(out);
    at_end_ = at_end_ || !more;
    return more;
}

bool ResponseCursor::continue_event(std::string& out) {
    const ResponseState now = record_->state();
    broken_ = now.text.size() != state_.text.size() || now.logprobs.size() != state_.logprobs.size();
    if (broken_) {
        at_end_ = true;
        return false;
    }
    state_ = now;  // because the log may have moved its text
    render_piece(out);
    return true;
}

void ResponseCursor::render_piece(std::string& out) {
    event_.render(out, max_bytes_);
    at_end_ = events_.ended() && event_.empty();
}

bool ResponseCursor::ready(Clock::time_point now) const {
    if (at_end_) return false;
    const GenerationLog& log = *record_->log;
    const auto last = events_.last_number();
    return last < 0 || (last < 1 && log.was_queued()) || (last < 2 && log.started()) || log.terminal() ||
           (reader_.num_unread() > 0 && now >= next_delta_);
}

ResponseCursor::Clock::time_point ResponseCursor::due() const {
    return reader_.num_unread() > 0 && !at_end_ ? next_delta_ : Clock::time_point::max();
}

}  // namespace solard::server
