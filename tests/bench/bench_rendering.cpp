// Measures how long the event loop needs to render the largest answers, as a whole and in pieces. The results
// are only printed. The times are CPU times of the thread, so that other processes matter less.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "server/api/chat_completions.hpp"
#include "server/api/completions.hpp"
#include "tests/support/demo_tokenizer.hpp"

using namespace solard;
using namespace solard::server;

namespace {

constexpr std::size_t num_choices = 8;
constexpr std::size_t num_tokens = 3900;
constexpr std::int32_t num_alternatives = 20;
constexpr std::size_t piece_bytes = 64 << 10;

double milliseconds() {
    std::timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

void measure(const char* name, const AnswerWriter& writer, const std::vector<LogDelta>& outputs) {
    Document document = writer.whole(outputs, {});
    std::string whole;
    double begin = milliseconds();
    document.render(whole, SIZE_MAX);
    const double at_once = milliseconds() - begin;
    document = writer.whole(outputs, {});
    double longest = 0;
    double sum = 0;
    std::size_t count = 0;
    for (std::string piece; !document.empty(); ++count, piece.clear()) {
        begin = milliseconds();
        document.render(piece, piece_bytes);
        const double took = milliseconds() - begin;
        longest = std::max(longest, took);
        sum += took;
    }
    std::printf("%s: %.1f MB; as a whole %.1f ms; in %zu pieces %.1f ms, longest piece %.2f ms\n", name,
                static_cast<double>(whole.size()) / 1e6, at_once, count, sum, longest);
}

}  // namespace

int main() {
    std::vector<TokenLogprob> logprobs;
    for (std::size_t i = 0; i < num_tokens * (num_alternatives + 1); ++i)
        logprobs.push_back({static_cast<TokenId>(300 + i % 1700), -0.001F * static_cast<float>(i % 9973)});
    const std::string text(num_tokens * 4, 'a');
    std::vector<LogDelta> outputs;
    for (std::uint32_t i = 0; i < num_choices; ++i)
        outputs.push_back({.output = i, .text = text, .finish = FinishReason::length, .logprobs = logprobs});
    GenerationFields fields;
    fields.sampling.num_choices = num_choices;
    fields.sampling.num_logprobs = num_alternatives;
    const ChatAnswerWriter chat({{}, fields, demo_tokenizer()});
    const CompletionAnswerWriter completion({{}, fields, demo_tokenizer()}, false);
    for (int round = 0; round < 3; ++round) {
        measure("chat completion", chat, outputs);
        measure("completion", completion, outputs);
    }
}
