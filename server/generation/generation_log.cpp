#include "server/generation/generation_log.hpp"

#include <algorithm>
#include <utility>

#include "server/config/random_bits.hpp"
#include "server/observe/heap_bytes.hpp"

namespace solard::server {

namespace asio = boost::asio;

namespace {

// The limit for the bytes of a prompt's log-probabilities in one entry, so that a reader can read a long
// prompt in parts.
constexpr std::size_t max_entry_bytes = 8 << 10;

std::string new_call_id(const ToolForm& form) {
    return form.id_length > 0 ? random_hex(form.id_length) : "call_" + random_hex(24);
}

}  // namespace

GenerationLog::GenerationLog(std::uint32_t num_outputs, bool keeps_token_ids, std::uint32_t num_prompts,
                             std::optional<CallRules> calls)
    : calls_(std::move(calls)),
      outputs_(num_outputs),
      prompt_logprobs_(num_prompts),
      keeps_token_ids_(keeps_token_ids) {
    if (calls_)
        for (Output& output : outputs_) output.splitter.emplace(*calls_);
    recount();
}

GenerationLog::Offsets GenerationLog::end_of(std::uint32_t output) const {
    const Output& whole = outputs_[output];
    return {whole.text.size(), whole.logprobs.size(), whole.token_ids.size(),
            prompt_logprobs_[prompt_of(output)].size()};
}

void GenerationLog::append(const LogDelta& delta) {
    auto& target = outputs_[delta.output];
    if (failure_ || target.finish != FinishReason::none) return;
    const std::size_t bytes_before = bytes_of(target) + heap_bytes(entries_);
    // All allocations come first. If one of them throws, the log has not become terminal, so the caller can
    // still call fail().
    target.logprobs.insert(target.logprobs.end(), delta.logprobs.begin(), delta.logprobs.end());
    if (keeps_token_ids_)
        target.token_ids.insert(target.token_ids.end(), delta.token_ids.begin(), delta.token_ids.end());
    if (calls_ && target.splitter) {
        append_pieces(target, *target.splitter, *calls_, delta);
    } else {
        target.text += delta.text;
        append_entry(delta, delta.num_tokens, delta.finish);
    }
    target.num_tokens += delta.num_tokens;
    target.finish = delta.finish;
    target.stop = delta.stop;
    if (delta.finish != FinishReason::none) ++num_finished_;
    if (terminal()) set_end_time();
    wake_readers();
    bytes_ += bytes_of(target) + heap_bytes(entries_) - bytes_before;
    charge();
}

void GenerationLog::append_entry(const LogDelta& delta, std::uint32_t num_tokens, FinishReason finish) {
    const auto num_items = static_cast<std::ptrdiff_t>(outputs_[delta.output].items.size());
    entries_.push_back({delta.output, num_tokens, finish, end_of(delta.output), num_items - 1});
    ++num_entries_;
}

// Each piece has an entry. The tokens belong to the first of them.
void GenerationLog::append_pieces(Output& target, CallSplitter& splitter, const CallRules& calls,
                                  const LogDelta& delta) {
    pieces_.clear();
    splitter.append(delta.text, delta.finish != FinishReason::none, pieces_);
    std::uint32_t num_tokens = delta.num_tokens;
    for (const CallPiece& piece : pieces_) {
        append_piece(target, piece, calls);
        const bool is_last = &piece == &pieces_.back();
        append_entry(delta, std::exchange(num_tokens, 0), is_last ? delta.finish : FinishReason::none);
    }
    if (pieces_.empty()) append_entry(delta, num_tokens, delta.finish);
}

void GenerationLog::append_piece(Output& target, const CallPiece& piece, const CallRules& calls) {
    const std::size_t place = target.text.size();
    auto& items = target.items;
    if (piece.kind == CallPiece::Kind::call) {
        const bool is_custom = std::ranges::find(calls.custom_tools, piece.text) != calls.custom_tools.end();
        items.push_back({is_custom ? AnswerItem::Kind::custom_call : AnswerItem::Kind::function_call,
                         piece.text, new_call_id(calls.form), place, place});
        return;
    }
    if (piece.kind == CallPiece::Kind::text && (items.empty() || items.back().is_call()))
        items.push_back({.begin = place, .end = place});
    items.back().is_complete = piece.kind == CallPiece::Kind::call_end;
    if (piece.kind == CallPiece::Kind::call_end) return;
    target.text += piece.text;
    items.back().end = target.text.size();
}

void GenerationLog::append_prompt_logprobs(std::uint32_t prompt, std::span<const RankedLogprob> entries,
                                           std::size_t entries_per_token) {
    if (terminal()) return;
    auto& target = prompt_logprobs_[prompt];
    const std::size_t bytes_before = heap_bytes(target) + heap_bytes(entries_);
    const auto num_choices = static_cast<std::uint32_t>(outputs_.size() / prompt_logprobs_.size());
    const std::size_t entry_bytes = entries_per_token * sizeof(RankedLogprob);
    const std::size_t part_size = std::max<std::size_t>(max_entry_bytes / entry_bytes, 1) * entries_per_token;
    while (!entries.empty()) {
        const auto part = entries.first(std::min(part_size, entries.size()));
        entries = entries.subspan(part.size());
        target.insert(target.end(), part.begin(), part.end());
        for (std::uint32_t i = prompt * num_choices; i < (prompt + 1) * num_choices; ++i) {
            append_entry({.output = i}, 0, FinishReason::none);
        }
    }
    wake_readers();
    bytes_ += heap_bytes(target) + heap_bytes(entries_) - bytes_before;
    charge();
}

void GenerationLog::fail(Error error) {
    if (terminal()) return;
    failure_ = std::move(error);
    set_end_time();
    wake_readers();
    charge();
}

void GenerationLog::charge_to(WaitingMemory& memory, std::uint64_t owner) {
    account_.emplace(memory, owner, WaitingKind::output, [this](std::size_t) { drop(); });
    charge();
}

void GenerationLog::charge_also(std::size_t bytes) {
    charged_also_ = bytes;
    charge();
}

void GenerationLog::charge_grammar(std::size_t bytes) {
    grammar_bytes_ = bytes;
    charge();
}

std::size_t GenerationLog::charged_bytes() const {
    return bytes_ + charged_also_ + (terminal() ? 0 : grammar_bytes_);
}

void GenerationLog::charge() {
    if (account_ && !account_->resize(charged_bytes())) drop();
}

void GenerationLog::drop() {
    // The error is made first, so that the log is unchanged if memory for the error is missing.
    Error error{errc::server_overloaded,
                "The server has no memory left for this answer (--max-waiting-memory). Retry later, and read "
                "the answer as fast as it comes."};
    const bool was_terminal = terminal();
    for (Output& output : outputs_) {
        release(output.text);
        release(output.items);
        release(output.logprobs);
        release(output.token_ids);
    }
    for (auto& logprobs : prompt_logprobs_) release(logprobs);
    release(entries_);
    recount();
    failure_ = std::move(error);
    if (account_) account_->resize(std::min(charged_bytes(), account_->bytes()));
    if (!was_terminal) set_end_time();
    wake_readers();
}

void GenerationLog::shrink_to_fit() {
    for (Output& output : outputs_) {
        output.text.shrink_to_fit();
        output.logprobs.shrink_to_fit();
        output.token_ids.shrink_to_fit();
        output.items.shrink_to_fit();
    }
    for (auto& logprobs : prompt_logprobs_) logprobs.shrink_to_fit();
    entries_.shrink_to_fit();
    readers_.shrink_to_fit();
    recount();
    charge();
}

std::size_t GenerationLog::bytes_of(const Output& output) {
    std::size_t bytes = heap_bytes(output.text) + heap_bytes(output.logprobs) + heap_bytes(output.token_ids) +
                        heap_bytes(output.items) +
                        (output.splitter ? heap_bytes(output.splitter->held()) : 0);
    for (const AnswerItem& item : output.items) bytes += heap_bytes(item.name) + heap_bytes(item.id);
    return bytes;
}

void GenerationLog::recount() {
    // The log shares its heap block with the control block of a shared_ptr.
    bytes_ = heap_block(sizeof(GenerationLog) + 2 * sizeof(void*)) + heap_bytes(outputs_) +
             heap_bytes(prompt_logprobs_) + heap_bytes(entries_);
    if (failure_) bytes_ += heap_bytes(failure_->message) + heap_bytes(failure_->param);
    for (const Output& output : outputs_) bytes_ += bytes_of(output);
    for (const auto& logprobs : prompt_logprobs_) bytes_ += heap_bytes(logprobs);
}

void GenerationLog::set_end_time() {
    ended_ = failure_ ? Clock::now() : times_.last_token;
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
            .items = whole.items,
            .logprobs = whole.logprobs,
            .token_ids = whole.token_ids,
            .prompt_logprobs = prompt_logprobs_[prompt_of(output)]};
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
    : log_(log), wakeup_(wakeup), next_entry_(std::min(first, log.num_entries_)), read_(log.outputs_.size()) {
    // This reader skips the entries before `first`, because another reader has read them.
    const std::size_t num_read = std::min(next_entry_, log.entries_.size());
    for (std::size_t i = 0; i < num_read; ++i) read_[log.entries_[i].output] = log.entries_[i].end;
    deltas_.reserve(log.outputs_.size());
    log_.readers_.push_back(this);  // last statement: the pointer would dangle if a later statement threw
}

LogReader::~LogReader() {
    std::erase(log_.readers_, this);
}

std::ptrdiff_t LogReader::last_item() const {
    const std::size_t end = std::min(next_entry_, log_.entries_.size());
    return end > 0 ? log_.entries_[end - 1].item : -1;
}

bool LogReader::ready() const {
    return num_unread() > 0 || (log_.failure_.has_value() && !saw_failure_);
}

asio::awaitable<bool> LogReader::wait(std::chrono::steady_clock::duration limit) {
    const auto deadline = Wakeup::Clock::now() + limit;
    while (!ready() && Wakeup::Clock::now() < deadline) co_await wakeup_.sleep_until(deadline);
    co_return ready();
}

asio::awaitable<void> LogReader::wait_started(std::chrono::steady_clock::duration limit) {
    const auto deadline = Wakeup::Clock::now() + limit;
    while (!log_.started() && !log_.terminal() && Wakeup::Clock::now() < deadline)
        co_await wakeup_.sleep_until(deadline);
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
        const std::size_t prompt_logprobs = entry.end.prompt_logprobs - place.prompt_logprobs;
        num_bytes += entry.end.text - place.text + logprobs * sizeof(TokenLogprob) +
                     (entry.end.token_ids - place.token_ids) * sizeof(TokenId) +
                     prompt_logprobs * sizeof(RankedLogprob);
        if (num_bytes > max_bytes && !deltas_.empty()) break;
        auto it = std::ranges::lower_bound(deltas_, entry.output, {}, &LogDelta::output);
        const bool is_known = it != deltas_.end() && it->output == entry.output;
        if (is_known && it->item != entry.item) break;
        if (!is_known) {
            if (deltas_.size() == max_outputs) break;
            it = deltas_.insert(it, {.output = entry.output});
            const auto& output = log_.outputs_[entry.output];
            it->items = output.items;
            it->item = entry.item;
            it->text = std::string_view(output.text).substr(place.text, 0);
            it->logprobs = std::span(output.logprobs).subspan(place.logprobs, 0);
            it->token_ids = std::span(output.token_ids).subspan(place.token_ids, 0);
            const auto& prompt = log_.prompt_logprobs_[log_.prompt_of(entry.output)];
            it->prompt_logprobs = std::span(prompt).subspan(place.prompt_logprobs, 0);
        }
        it->num_tokens += entry.num_tokens;
        it->finish = entry.finish;
        it->text = {it->text.data(), it->text.size() + entry.end.text - place.text};
        it->logprobs = {it->logprobs.data(), it->logprobs.size() + logprobs};
        it->token_ids = {it->token_ids.data(), it->token_ids.size() + entry.end.token_ids - place.token_ids};
        it->prompt_logprobs = {it->prompt_logprobs.data(), it->prompt_logprobs.size() + prompt_logprobs};
        it->stop = log_.outputs_[entry.output].stop;
        place = entry.end;
    }
    saw_failure_ = log_.failure_.has_value();
    return deltas_;
}

}  // namespace solard::server
