#include "server/api/document.hpp"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "server/api/chat_completions.hpp"
#include "server/api/completions.hpp"
#include "server/api/logprobs.hpp"
#include "tests/support/demo_tokenizer.hpp"
#include "tests/support/rendered.hpp"

using namespace solard;
using namespace solard::server;

namespace {

// A rendered document: the lengths of its pieces, and its whole text.
struct Pieces {
    std::vector<std::size_t> sizes;
    std::string text;
};

Pieces in_pieces(Document document, std::size_t max_bytes) {
    Pieces pieces;
    while (!document.empty()) {
        std::string piece;
        document.render(piece, max_bytes);
        pieces.sizes.push_back(piece.size());
        pieces.text += piece;
    }
    return pieces;
}

// Three hundred tokens, each with two alternatives.
std::vector<TokenLogprob> many_logprobs() {
    std::vector<TokenLogprob> logprobs;
    for (TokenId token = 3; token < 903; ++token)
        logprobs.push_back({token, -0.25F * static_cast<float>(token)});
    return logprobs;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(document)

BOOST_AUTO_TEST_CASE(short_text_is_one_piece) {
    Document empty;
    BOOST_TEST(empty.empty());
    Document document;
    document.tail() = "abc";
    append_list(document, 0, [](std::string&, std::size_t) { BOOST_TEST(false); });
    BOOST_TEST(rendered(document) == "abc[]");
    BOOST_TEST(in_pieces(document, 1).sizes.size() == 1U);
}

BOOST_AUTO_TEST_CASE(lists_and_long_strings_are_rendered_in_bounded_pieces) {
    const std::string text = std::string(5000, '\n') + std::string(5001, 'x') + "\xed\x95\x9c";
    Document document;
    document.tail() = R"({"text":")";
    append_characters(document, text);
    document.tail() += R"(","numbers":)";
    append_list(document, 1000, [](std::string& out, std::size_t i) { out += std::to_string(i); });
    document.tail() += '}';
    std::string expected = R"({"text":)";
    append_json_string(expected, text);
    expected += R"(,"numbers":)";
    append_list(expected, 1000, [](std::string& out, std::size_t i) { out += std::to_string(i); });
    expected += '}';
    BOOST_TEST(rendered(document) == expected);
    constexpr std::size_t largest_item = 2 * 4096;  // 4,096 escaped line feeds
    for (const std::size_t max_bytes : {1U, 100U, 5000U}) {
        const auto pieces = in_pieces(document, max_bytes);
        BOOST_TEST(pieces.text == expected);
        for (const auto size : pieces.sizes) BOOST_TEST(size <= max_bytes + largest_item + 20);
    }
    BOOST_TEST(in_pieces(document, 100).sizes.size() > 20U);
}

BOOST_AUTO_TEST_CASE(rendering_appends_to_what_is_there) {
    Document document;
    append_list(document, 3, [](std::string& out, std::size_t i) { out += std::to_string(i); });
    std::string out = "before ";
    document.render(out, 2);
    BOOST_TEST(out == "before [0");
    document.render(out, SIZE_MAX);
    BOOST_TEST(out == "before [0,1,2]");
    BOOST_TEST(document.empty());
}

BOOST_AUTO_TEST_CASE(a_view_may_be_replaced_between_two_pieces) {
    const std::string first(20'000, 'a');
    std::string_view text = first;
    Document document;
    append_characters(document, text);
    std::string out;
    document.render(out, 1);
    const std::string moved = first;
    text = moved;
    document.render(out, SIZE_MAX);
    BOOST_TEST(out == first);
}

BOOST_AUTO_TEST_CASE(log_probabilities_are_the_same_at_once_and_in_pieces) {
    const auto logprobs = many_logprobs();
    const std::span<const TokenLogprob> view = logprobs;
    std::string list;
    append_logprob_list(list, TokenTexts{demo_tokenizer()}, view, 2);
    Document document;
    append_logprob_list(document, TokenTexts{demo_tokenizer()}, view, 2);
    BOOST_TEST(in_pieces(document, 500).text == list);
    const std::vector<RankedLogprob> prompt(6000, {5, -1, 1});
    const LogDelta delta{.logprobs = view, .prompt_logprobs = prompt};
    const CompletionLogprobsForm form{
        .num_alternatives = 2, .num_prompt_alternatives = 2, .first_token = 1, .answer_offset = 7};
    std::string completion;
    append_completion_logprobs(completion, TokenTexts{demo_tokenizer()}, delta, form);
    Document completion_document;
    append_completion_logprobs(completion_document, TokenTexts{demo_tokenizer()}, delta, form);
    BOOST_TEST(in_pieces(completion_document, 500).text == completion);
    std::string of_prompt;
    append_prompt_logprobs(of_prompt, demo_tokenizer(), delta.prompt_logprobs, 2, 1);
    Document document_of_prompt;
    append_prompt_logprobs(document_of_prompt, demo_tokenizer(), delta.prompt_logprobs, 2, 1);
    BOOST_TEST(in_pieces(document_of_prompt, 500).text == of_prompt);
    std::string chat;
    append_chat_logprobs(chat, TokenTexts{demo_tokenizer()}, view, 2);
    BOOST_TEST(chat == R"({"content":)" + list + R"(,"refusal":null})");
}

BOOST_AUTO_TEST_CASE(whole_answers_are_the_same_at_once_and_in_pieces) {
    const auto logprobs = many_logprobs();
    const std::vector<TokenId> token_ids(3000, 5);
    const std::string text(100'000, '"');
    std::vector<LogDelta> outputs;
    for (std::uint32_t i = 0; i < 4; ++i)
        outputs.push_back({.output = i,
                           .text = text,
                           .finish = FinishReason::stop,
                           .logprobs = logprobs,
                           .token_ids = token_ids});
    GenerationFields fields;
    fields.sampling.num_logprobs = 2;
    fields.sampling.num_choices = 2;
    fields.return_token_ids = true;
    const auto context = [&](std::size_t num_prompts) {
        AnswerContext all{{}, fields, demo_tokenizer()};
        all.prompts.assign(num_prompts, {std::string(50'000, 'p'), token_ids});
        return all;
    };
    const ChatAnswerWriter chat(context(1));
    const CompletionAnswerWriter completion(context(2), true);
    for (const AnswerWriter* writer :
         {static_cast<const AnswerWriter*>(&chat), static_cast<const AnswerWriter*>(&completion)}) {
        const auto pieces = in_pieces(writer->whole(outputs, {}), 64 << 10);
        BOOST_TEST(pieces.text == rendered(writer->whole(outputs, {})));
        BOOST_TEST(pieces.text.size() > 500'000U);
        for (const auto size : pieces.sizes) BOOST_TEST(size <= (64U << 10) + 16'384U);
    }
}

BOOST_AUTO_TEST_SUITE_END()
