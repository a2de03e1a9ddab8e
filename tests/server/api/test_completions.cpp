#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/test/unit_test.hpp>

#include "server/api/completions.hpp"
#include "server/api/logprobs.hpp"
#include "server/api/tokenize.hpp"
#include "tests/support/demo_tokenizer.hpp"
#include "tests/support/rendered.hpp"

namespace solard::server {

namespace {

CompletionRequest parsed(const std::string& text) {
    auto request = parse_completion_request(text, UnknownFields::ignored);
    BOOST_REQUIRE_MESSAGE(request, text << ": " << (request ? "" : request.error().message));
    return *std::move(request);
}

void refused(const std::string& text, errc code, std::string_view param) {
    const auto request = parse_completion_request(text, UnknownFields::ignored);
    BOOST_REQUIRE_MESSAGE(!request, text << " was accepted");
    BOOST_TEST((request.error().code == code), text << ": " << request.error().message);
    BOOST_TEST(request.error().param == param, text);
}

std::string repeated(std::size_t count, const std::string& item) {
    std::string list;
    for (std::size_t i = 0; i < count; ++i) list += (i > 0 ? "," : "") + item;
    return "[" + list + "]";
}

TokenId token_of(std::string_view bytes) {
    TokenId token = 3;  // the first token after the control tokens
    while (demo_tokenizer().bytes_of(token) != bytes) ++token;
    return token;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(completions)

BOOST_AUTO_TEST_CASE(a_prompt_has_four_forms) {
    const auto texts = parsed(R"({"prompt":["a","b"]})").prompts;
    BOOST_REQUIRE(texts.size() == 2);
    BOOST_TEST(std::get<std::string>(texts[1]) == "b");
    BOOST_TEST(std::get<std::string>(parsed(R"({"prompt":""})").prompts.at(0)).empty());
    const auto ids = parsed(R"({"prompt":[1,2,3]})").prompts;
    BOOST_REQUIRE(ids.size() == 1);
    BOOST_TEST((std::get<std::vector<TokenId>>(ids[0]) == std::vector<TokenId>{1, 2, 3}));
    BOOST_TEST(parsed(R"({"prompt":[[1,2],[3]]})").prompts.size() == 2);
    for (const char* prompt : {"null", "1", "[]", "[[]]", "[null]", R"(["a",1])", R"([1,"a"])", "[-1]",
                               "[1.5]", "[[1],[-1]]", "[2147483648]", "{}", "[true]"})
        refused(std::string(R"({"prompt":)") + prompt + "}", errc::invalid_value, "prompt");
    refused("{}", errc::invalid_value, "prompt");
}

BOOST_AUTO_TEST_CASE(number_of_prompts_times_choices_is_limited) {
    BOOST_TEST(parsed(R"({"prompt":)" + repeated(128, R"("a")") + "}").prompts.size() == 128);
    refused(R"({"prompt":)" + repeated(129, R"("a")") + "}", errc::invalid_value, "prompt");
    parsed(R"({"n":8,"prompt":)" + repeated(16, "[1]") + "}");
    refused(R"({"n":8,"prompt":)" + repeated(17, "[1]") + "}", errc::invalid_value, "prompt");
    // A list of many ids is a single prompt.
    BOOST_TEST(parsed(R"({"prompt":)" + repeated(500, "1") + "}").prompts.size() == 1);
}

BOOST_AUTO_TEST_CASE(defaults_are_openais) {
    const auto request = parsed(R"({"prompt":"a"})");
    BOOST_TEST(*request.generation.max_tokens == 16);
    BOOST_TEST(!request.echo);
    BOOST_TEST(request.generation.sampling.num_logprobs == -1);
    BOOST_TEST(parsed(R"({"prompt":"a","logprobs":0})").generation.sampling.num_logprobs == 0);
    BOOST_TEST(parsed(R"({"prompt":"a","logprobs":20})").generation.sampling.num_logprobs == 20);
    BOOST_TEST(parsed(R"({"prompt":"a","logprobs":null})").generation.sampling.num_logprobs == -1);
    refused(R"({"prompt":"a","logprobs":21})", errc::invalid_value, "logprobs");
    refused(R"({"prompt":"a","logprobs":-1})", errc::invalid_value, "logprobs");
}

BOOST_AUTO_TEST_CASE(unsupported_fields_are_refused_by_name) {
    parsed(R"({"prompt":"a","echo":true,"best_of":1,"suffix":""})");
    refused(R"({"prompt":"a","best_of":2})", errc::unsupported_parameter, "best_of");
    refused(R"({"prompt":"a","suffix":"x"})", errc::unsupported_parameter, "suffix");
    const auto strict = parse_completion_request(R"({"prompt":"a","messages":[]})", UnknownFields::refused);
    BOOST_REQUIRE(!strict);
    BOOST_TEST(strict.error().param == "messages");
}

BOOST_AUTO_TEST_CASE(each_output_begins_with_its_echoed_prompt) {
    GenerationFields fields;
    fields.sampling.num_choices = 2;
    fields.include_usage = true;
    CompletionAnswerWriter writer({{"cmpl-1", "m", 5},
                                   fields,
                                   demo_tokenizer(),
                                   {{.text = "P\"", .token_ids = {}}, {.text = "Q", .token_ids = {}}}},
                                  true);
    std::string out;
    writer.append_chunks(out, {.output = 3, .text = "x"}, {});
    writer.append_chunks(out, {.output = 0, .text = "y"}, {});
    writer.append_chunks(out, {.output = 3, .text = "z", .finish = FinishReason::length}, {});
    std::vector<std::string> texts;
    for (std::size_t begin = 0; begin < out.size();) {
        const auto end = out.find("\n\n", begin);
        const auto choice = boost::json::parse(out.substr(begin + 6, end - begin - 6)).at("choices").at(0);
        texts.push_back(std::to_string(choice.at("index").to_number<int>()) +
                        std::string(choice.at("text").as_string()));
        begin = end + 2;
    }
    const std::vector<std::string> expected{"3Qx", "0P\"y", "3z"};
    BOOST_TEST(texts == expected, boost::test_tools::per_element());
    const std::vector<LogDelta> outputs{{.output = 0, .text = "a", .finish = FinishReason::stop},
                                        {.output = 1, .text = "b", .finish = FinishReason::stop},
                                        {.output = 2, .text = "c", .finish = FinishReason::length},
                                        {.output = 3, .text = "d", .finish = FinishReason::stop}};
    const auto whole = boost::json::parse(rendered(writer.whole(outputs, {4, 8})));
    BOOST_TEST(whole.at("object") == "text_completion");
    BOOST_TEST(whole.at("choices").at(1).at("text") == "P\"b");
    BOOST_TEST(whole.at("choices").at(2).at("text") == "Qc");
    BOOST_TEST(whole.at("choices").at(2).at("finish_reason") == "length");
    BOOST_TEST(whole.at("usage").at("total_tokens") == 12);
}

BOOST_AUTO_TEST_CASE(logprobs_have_the_older_form_with_offsets_in_characters) {
    const TokenId hello = token_of(" Hello");
    const TokenId lead = token_of("\xed");  // the first byte of a Korean syllable
    const TokenId tail = token_of("\x95");
    const std::vector<TokenLogprob> logprobs{{hello, -1}, {lead, -2},  {tail, -3},
                                             {lead, -4},  {hello, -5}, {lead, -4}};
    std::string out;
    append_completion_logprobs(out, TokenTexts{demo_tokenizer()}, {.logprobs = logprobs},
                               {.num_alternatives = 2, .answer_offset = 10});
    const auto json = boost::json::parse(out);
    BOOST_TEST(json.at("tokens") == boost::json::parse(R"([" Hello","bytes:\\xed"])"));
    BOOST_TEST(json.at("token_logprobs") == boost::json::parse("[-1,-4]"));
    BOOST_TEST(json.at("top_logprobs") ==
               boost::json::parse(
                   R"([{" Hello":-1,"bytes:\\xed":-2,"bytes:\\x95":-3},{"bytes:\\xed":-4," Hello":-5}])"));
    BOOST_TEST(json.at("text_offset") == boost::json::parse("[10,16]"));
    BOOST_TEST(num_characters(TokenTexts{demo_tokenizer()}, TokenLogprobs(logprobs), 2) == 7);
}

BOOST_AUTO_TEST_CASE(equal_alternatives_are_ordered_by_token_and_missing_ones_are_left_out) {
    const auto [first, second] = std::minmax({token_of(" Hello"), token_of(" world")});
    const std::vector<TokenLogprob> logprobs{{second, -1}, {first, -1}, {-1, 0}};
    std::string out;
    append_completion_logprobs(out, TokenTexts{demo_tokenizer()}, {.logprobs = logprobs},
                               {.num_alternatives = 2});
    const auto json = boost::json::parse(out);
    const auto& top = json.at("top_logprobs").at(0).as_object();
    BOOST_REQUIRE(top.size() == 2U);
    BOOST_TEST(std::string(top.begin()->key()) == demo_tokenizer().bytes_of(first));
}

BOOST_AUTO_TEST_CASE(text_offsets_continue_from_chunk_to_chunk) {
    GenerationFields fields;
    fields.sampling.num_logprobs = 0;
    CompletionAnswerWriter writer({{"cmpl-1", "m", 5}, fields, demo_tokenizer(), {}}, false);
    const std::vector<TokenLogprob> logprobs{{token_of(" Hello"), -1}, {token_of(" world"), -1}};
    std::string first;
    writer.append_chunks(first, {.text = " Hello", .logprobs = std::span(logprobs).first(1)}, {});
    std::string second;
    writer.append_chunks(second, {.text = " world", .logprobs = std::span(logprobs).last(1)}, {});
    BOOST_TEST(first.find(R"("text_offset":[0])") != std::string::npos, first);
    BOOST_TEST(second.find(R"("text_offset":[6])") != std::string::npos, second);
}

BOOST_AUTO_TEST_CASE(tokenize_accepts_a_prompt_or_messages) {
    const auto tokenize = [](const char* text) {
        return parse_tokenize_request(text, UnknownFields::refused);
    };
    BOOST_TEST(std::get<std::string>(tokenize(R"({"prompt":"a","add_special_tokens":false})")->prompt) ==
               "a");
    const auto chat =
        tokenize(R"({"messages":[{"role":"user","content":"a"}],"add_generation_prompt":false})");
    BOOST_REQUIRE(chat);
    BOOST_TEST((std::get<ChatPrompt>(chat->prompt).end == PromptEnd::last_message));
    BOOST_TEST(tokenize("{}").error().param == "prompt");
    BOOST_TEST(tokenize(R"({"messages":[]})").error().param == "messages");
    BOOST_TEST(tokenize(R"({"prompt":"a","x":1})").error().param == "x");
}

BOOST_AUTO_TEST_CASE(special_tokens_of_a_prompt_are_parsed_unless_the_request_says_otherwise) {
    const auto options = [](const std::string& fields) {
        const auto tokenize =
            parse_tokenize_request(R"({"prompt":"a")" + fields + "}", UnknownFields::refused);
        const auto complete =
            parse_completion_request(R"({"prompt":"a")" + fields + "}", UnknownFields::refused);
        BOOST_REQUIRE(tokenize && complete);
        BOOST_TEST(tokenize->encoding.parse_special == complete->encoding.parse_special);
        BOOST_TEST(tokenize->encoding.add_special_tokens == complete->encoding.add_special_tokens);
        return complete->encoding;
    };
    BOOST_TEST(options("").parse_special);
    BOOST_TEST(options("").add_special_tokens);
    BOOST_TEST(!options(R"(,"parse_special":false)").parse_special);
    BOOST_TEST(!options(R"(,"add_special_tokens":false)").add_special_tokens);
    const auto messages = parse_tokenize_request(
        R"({"messages":[{"role":"user","content":"a"}],"parse_special":true})", UnknownFields::refused);
    BOOST_TEST(!messages->encoding.parse_special);
    const auto chat = [](const std::string& fields) {
        return parse_chat_request(R"({"messages":[{"role":"user","content":"a"}])" + fields + "}",
                                  UnknownFields::refused);
    };
    BOOST_TEST(chat("")->prompt.add_special_tokens);
    BOOST_TEST(!chat(R"(,"add_special_tokens":false)")->prompt.add_special_tokens);
    BOOST_TEST(chat(R"(,"parse_special":false)").has_value());
    BOOST_TEST(chat(R"(,"parse_special":true)").error().param == "parse_special");
    for (const auto* field : {"add_special_tokens", "parse_special", "skip_special_tokens"}) {
        const auto body = R"({"prompt":"a",")" + std::string(field) + R"(":1})";
        BOOST_TEST(parse_completion_request(body, UnknownFields::ignored).error().param == field);
    }
}

BOOST_AUTO_TEST_CASE(special_tokens_are_shown_if_the_request_asks_for_them) {
    const auto parsed = parse_detokenize_request(R"({"tokens":[1,2],"skip_special_tokens":false})",
                                                 UnknownFields::refused, 100);
    BOOST_REQUIRE(parsed);
    BOOST_TEST(detokenize_json(*parsed, demo_tokenizer()) == R"({"prompt":"<s></s>"})");
    BOOST_TEST(detokenize_json({.model = "", .tokens = {1, 2}}, demo_tokenizer()) == R"({"prompt":""})");
    const auto request =
        parse_completion_request(R"({"prompt":"a","skip_special_tokens":false})", UnknownFields::refused);
    BOOST_REQUIRE(request);
    BOOST_TEST(!make_request(request->generation.sampling, {.vocab_size = 10}, 1)->skip_special_tokens);
    BOOST_TEST(make_request({}, {.vocab_size = 10}, 1)->skip_special_tokens);
}

BOOST_AUTO_TEST_CASE(detokenize_accepts_ids_of_the_vocabulary_and_reverses_tokenize) {
    const auto ids_of = [](const char* text) {
        return parse_detokenize_request(text, UnknownFields::ignored, 100);
    };
    BOOST_TEST((ids_of(R"({"tokens":[0,99]})")->tokens == std::vector<TokenId>{0, 99}));
    BOOST_TEST(ids_of(R"({"tokens":[]})")->tokens.empty());
    for (const char* text :
         {"{}", R"({"tokens":[100]})", R"({"tokens":[-1]})", R"({"tokens":"a"})", R"({"tokens":[1.5]})"})
        BOOST_TEST(ids_of(text).error().param == "tokens", text);
    for (const char* text : {"Hello world", " two  spaces", "", "\xed\x95\x9c\n"}) {
        const auto ids = demo_tokenizer().encode(text, {}).value();
        BOOST_TEST(boost::json::parse(detokenize_json({.model = "", .tokens = ids}, demo_tokenizer()))
                       .at("prompt") == text);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
