// Tests the fields which ask for the log probabilities of a prompt, and the two forms in which they are
// written.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/test/unit_test.hpp>
#include <limits>

#include "server/api/chat_completions.hpp"
#include "server/api/completions.hpp"
#include "server/api/logprobs.hpp"
#include "server/api/responses.hpp"
#include "tests/support/demo_tokenizer.hpp"
#include "tests/support/rendered.hpp"

namespace solard::server {

namespace {

namespace json = boost::json;

GenerationFields completion(const std::string& fields) {
    const auto request = parse_completion_request(R"({"prompt":"a",)" + fields + "}", UnknownFields::refused);
    BOOST_REQUIRE_MESSAGE(request, fields << ": " << (request ? "" : request.error().message));
    return request->generation;
}

std::string chat_body(const std::string& fields) {
    return R"({"messages":[{"role":"user","content":"a"}],)" + fields + "}";
}

GenerationFields chat(const std::string& fields) {
    const auto request = parse_chat_request(chat_body(fields), UnknownFields::refused);
    BOOST_REQUIRE_MESSAGE(request, fields << ": " << (request ? "" : request.error().message));
    return request->generation;
}

// Checks that completions and chat refuse the fields.
void refused(const std::string& fields, std::string_view param) {
    const auto in_completions =
        parse_completion_request(R"({"prompt":"a",)" + fields + "}", UnknownFields::ignored);
    const auto in_chat = parse_chat_request(chat_body(fields), UnknownFields::ignored);
    BOOST_REQUIRE_MESSAGE(!in_completions && !in_chat, fields << " was accepted");
    for (const Error& error : {in_completions.error(), in_chat.error()}) {
        BOOST_TEST((error.code == errc::invalid_value), fields << ": " << error.message);
        BOOST_TEST(error.param == param, fields << ": " << error.message);
    }
}

TokenId token_of(std::string_view bytes) {
    TokenId token = 3;  // the first token after the control tokens
    while (demo_tokenizer().bytes_of(token) != bytes) ++token;
    return token;
}

const TokenId bos = *demo_tokenizer().bos();
const TokenId hello = token_of(" Hello");
const TokenId world = token_of(" world");
const TokenId newline = token_of("\n");

// The prompt "Hello world" with one alternative for each token.
const std::vector<RankedLogprob> prompt_entries{
    {hello, -1, 2}, {world, -0.5, 1}, {world, -2, 1}, {world, -2, 1}};
// The answer "\n Hello" with one alternative for each token.
const std::vector<TokenLogprob> answer_entries{{newline, -3}, {hello, -0.25}, {hello, -4}, {world, -5}};

// Two choices of a request with echo and logprobs.
AnswerContext context(std::int32_t num_logprobs = 1) {
    GenerationFields fields;
    fields.sampling.num_choices = 2;
    fields.sampling.num_logprobs = num_logprobs;
    fields.num_prompt_logprobs = 1;
    AnswerContext context{{"cmpl-1", "m", 5}, fields, demo_tokenizer(), {}};
    context.prompts.push_back({.text = "Hello world", .first_token = bos, .dropped_space = 0});
    return context;
}

// What echo and logprobs = 1 must give for the prompt and the answer above.
const json::object expected_logprobs{
    {"tokens", {"<s>", " Hello", " world", "\n", " Hello"}},
    {"token_logprobs", {nullptr, -1, -2, -3, -4}},
    {"top_logprobs",
     {nullptr, json::object{{" world", -0.5}, {" Hello", -1}}, json::object{{" world", -2}},
      json::object{{" Hello", -0.25}, {"\n", -3}}, json::object{{" Hello", -4}, {" world", -5}}}},
    {"text_offset", {0, 0, 5, 11, 12}}};

// Compares two values; numbers are equal however they are written.
bool same(const json::value& a, const json::value& b) {
    if (a.is_number() && b.is_number()) return a.to_number<double>() == b.to_number<double>();
    if (a.is_array() && b.is_array()) return std::ranges::equal(a.get_array(), b.get_array(), same);
    if (!a.is_object() || !b.is_object()) return a == b;
    return a.get_object().size() == b.get_object().size() &&
           std::ranges::all_of(a.get_object(), [&](const auto& member) {
               const auto* other = b.get_object().if_contains(member.key());
               return other != nullptr && same(member.value(), *other);
           });
}

void check(const json::value& found, const json::value& expected) {
    BOOST_TEST(same(found, expected), json::serialize(found) << " instead of " << json::serialize(expected));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(prompt_logprobs)

BOOST_AUTO_TEST_CASE(fields_have_ranges_and_no_effect_by_default) {
    for (const auto& absent : {completion(R"("n":1)"), chat(R"("prompt_logprobs":null)")}) {
        BOOST_TEST(absent.prompt_logprobs == -1);
        BOOST_TEST(absent.num_prompt_logprobs == -1);
    }
    for (const auto& zero : {completion(R"("prompt_logprobs":0)"), chat(R"("prompt_logprobs":0)")}) {
        BOOST_TEST(zero.prompt_logprobs == 0);
        BOOST_TEST(zero.num_prompt_logprobs == 0);
    }
    BOOST_TEST(chat(R"("prompt_logprobs":20.0)").num_prompt_logprobs == 20);
    for (const char* value : {"-1", "21", "true", R"("1")", "0.5", "[]"})
        refused(std::string(R"("prompt_logprobs":)") + value, "prompt_logprobs");
}

BOOST_AUTO_TEST_CASE(engine_is_asked_for_the_larger_number_of_alternatives) {
    BOOST_TEST(completion(R"("echo":true)").num_prompt_logprobs == -1);
    BOOST_TEST(completion(R"("echo":true,"logprobs":false)").num_prompt_logprobs == -1);
    BOOST_TEST(completion(R"("logprobs":3)").num_prompt_logprobs == -1);
    BOOST_TEST(completion(R"("echo":true,"logprobs":0)").num_prompt_logprobs == 0);
    BOOST_TEST(completion(R"("echo":true,"logprobs":3)").prompt_logprobs == -1);
    BOOST_TEST(completion(R"("echo":true,"logprobs":3,"prompt_logprobs":1)").num_prompt_logprobs == 3);
    BOOST_TEST(completion(R"("echo":true,"logprobs":1,"prompt_logprobs":3)").num_prompt_logprobs == 3);
}

BOOST_AUTO_TEST_CASE(stream_cannot_have_the_field_but_echo_with_logprobs) {
    for (const char* count : {"0", "1"})
        refused(std::string(R"("stream":true,"prompt_logprobs":)") + count, "prompt_logprobs");
    BOOST_TEST(completion(R"("stream":true,"prompt_logprobs":null)").prompt_logprobs == -1);
    BOOST_TEST(completion(R"("stream":true,"echo":true,"logprobs":2)").num_prompt_logprobs == 2);
}

BOOST_AUTO_TEST_CASE(no_token_may_be_asked_for_only_if_the_answer_tells_of_the_prompt) {
    for (const std::string name : {"max_tokens", "max_completion_tokens", "n_predict"}) {
        refused("\"" + name + "\":0", name);
        refused("\"" + name + R"(":0,"logprobs":null)", name);
        refused("\"" + name + R"(":-2,"prompt_logprobs":1)", name);
        BOOST_TEST(completion("\"" + name + R"(":0,"echo":true)").max_tokens.value() == 0);
        BOOST_TEST(completion("\"" + name + R"(":0,"prompt_logprobs":1)").max_tokens.value() == 0);
        BOOST_TEST(chat("\"" + name + R"(":0.0,"prompt_logprobs":1)").max_tokens.value() == 0);
        const auto echo =
            parse_chat_request(chat_body("\"" + name + R"(":0,"echo":true)"), UnknownFields::ignored);
        BOOST_TEST(echo.error().param == name);
    }
    refused(R"("max_tokens":0,"prompt_logprobs":1,"min_tokens":1)", "min_tokens");
}

BOOST_AUTO_TEST_CASE(responses_refuse_the_field_by_name) {
    const auto request =
        parse_response_request(R"({"input":"a","prompt_logprobs":1})", UnknownFields::ignored);
    BOOST_REQUIRE(!request);
    BOOST_TEST((request.error().code == errc::unsupported_parameter));
    BOOST_TEST(request.error().param == "prompt_logprobs");
}

BOOST_AUTO_TEST_CASE(whole_answer_has_prompt_and_answer_in_the_older_form) {
    const CompletionAnswerWriter writer(context(), true);
    std::vector<LogDelta> outputs;
    for (const std::uint32_t i : {0, 1})
        outputs.push_back({.output = i,
                           .text = "\n Hello",
                           .num_tokens = 2,
                           .finish = FinishReason::length,
                           .logprobs = answer_entries,
                           .prompt_logprobs = prompt_entries});
    const auto answer = json::parse(rendered(writer.whole(outputs, {3, 4})));
    for (const auto& choice : answer.at("choices").as_array()) {
        BOOST_TEST(choice.at("text") == "Hello world\n Hello");
        check(choice.at("logprobs"), expected_logprobs);
        BOOST_TEST(!choice.as_object().contains("prompt_logprobs"));
    }
    BOOST_TEST(answer.at("choices").as_array().size() == 2U);
}

BOOST_AUTO_TEST_CASE(chunks_have_together_what_the_whole_answer_has) {
    CompletionAnswerWriter writer(context(), true);
    const auto prompt = RankedLogprobs(prompt_entries);
    const auto answer = TokenLogprobs(answer_entries);
    std::string out;
    writer.append_chunks(out, {.prompt_logprobs = prompt.first(2)}, {});
    writer.append_chunks(out, {.output = 1, .prompt_logprobs = prompt}, {});
    writer.append_chunks(
        out, {.text = "\n", .logprobs = answer.first(2), .prompt_logprobs = prompt.subspan(2)}, {});
    writer.append_chunks(out, {.output = 1, .text = "\n", .logprobs = answer.first(2)}, {});
    writer.append_chunks(
        out, {.text = " Hello", .finish = FinishReason::length, .logprobs = answer.subspan(2)}, {});
    writer.append_chunks(
        out, {.output = 1, .text = " Hello", .finish = FinishReason::stop, .logprobs = answer.subspan(2)},
        {});
    std::array<std::string, 2> texts;
    std::array<json::object, 2> logprobs;
    for (std::size_t begin = 0; begin < out.size();) {
        const auto end = out.find("\n\n", begin);
        const auto choice = json::parse(out.substr(begin + 6, end - begin - 6)).at("choices").at(0);
        const auto index = choice.at("index").to_number<std::size_t>();
        texts.at(index) += choice.at("text").as_string();
        for (const auto& [name, list] : choice.at("logprobs").as_object()) {
            if (!logprobs.at(index).contains(name)) logprobs.at(index)[name] = json::array();
            for (const auto& item : list.as_array()) logprobs.at(index)[name].as_array().push_back(item);
        }
        begin = end + 2;
    }
    for (const std::size_t i : {0, 1}) {
        BOOST_TEST(texts.at(i) == "Hello world\n Hello");
        check(logprobs.at(i), expected_logprobs);
    }
}

BOOST_AUTO_TEST_CASE(answer_without_any_token_has_the_prompt_only) {
    auto one_choice = context();
    one_choice.fields.sampling.num_choices = 1;
    const LogDelta end{.finish = FinishReason::length, .prompt_logprobs = prompt_entries};
    const auto whole =
        json::parse(rendered(CompletionAnswerWriter(one_choice, true).whole(std::span(&end, 1), {3, 0})));
    const auto& choice = whole.at("choices").at(0);
    BOOST_TEST(choice.at("text") == "Hello world");
    BOOST_TEST(choice.at("finish_reason") == "length");
    check(choice.at("logprobs").at("token_logprobs"), {nullptr, -1, -2});
    BOOST_TEST(whole.at("usage").at("completion_tokens") == 0);
    // A prompt of one token has no log probability at all.
    one_choice.prompts.front() = {.text = "", .first_token = bos};
    const LogDelta nothing{.finish = FinishReason::length};
    std::string out;
    CompletionAnswerWriter(one_choice, true).append_chunks(out, nothing, {});
    check(
        json::parse(out.substr(6)).at("choices").at(0).at("logprobs"),
        json::parse(R"({"tokens":["<s>"],"token_logprobs":[null],"top_logprobs":[null],"text_offset":[0]})"));
    // Without logprobs, the answer has the text only.
    auto text_only = context(-1);
    text_only.fields.num_prompt_logprobs = -1;
    const LogDelta unasked{.finish = FinishReason::length, .prompt_logprobs = prompt_entries};
    const auto echo =
        json::parse(rendered(CompletionAnswerWriter(text_only, true).whole(std::span(&unasked, 1), {3, 0})));
    BOOST_TEST(echo.at("choices").at(0).at("text") == "Hello world");
    BOOST_TEST(echo.at("choices").at(0).at("logprobs").is_null());
}

BOOST_AUTO_TEST_CASE(offsets_of_token_ids_begin_where_the_text_begins) {
    auto ids = context();
    ids.prompts.front() = {
        .text = "Hello world", .first_token = hello, .first_token_characters = 6, .dropped_space = 0};
    const LogDelta end{.finish = FinishReason::length,
                       .prompt_logprobs = RankedLogprobs(prompt_entries).last(2)};
    const auto whole = json::parse(rendered(CompletionAnswerWriter(ids, true).whole(std::span(&end, 1), {})));
    check(whole.at("choices").at(0).at("logprobs").at("text_offset"), {0, 5});
    ids.prompts.front() = {.text = "\n world", .first_token = newline, .first_token_characters = 1};
    const auto other = json::parse(rendered(CompletionAnswerWriter(ids, true).whole(std::span(&end, 1), {})));
    check(other.at("choices").at(0).at("logprobs").at("text_offset"), {0, 1});
}

BOOST_AUTO_TEST_CASE(vllms_form_is_keyed_by_token_id) {
    const std::vector<RankedLogprob> entries{
        {world, -2, 3}, {hello, -0.5, 1}, {world, -2, 3}, {hello, -std::numeric_limits<float>::infinity(), 9},
        {world, -1, 1}, {newline, -1, 2}};
    const auto form = [&](std::int32_t num_shown) {
        std::string out;
        append_prompt_logprobs(out, demo_tokenizer(), RankedLogprobs(entries), 2, num_shown);
        return json::parse(out);
    };
    const auto member = [](double logprob, int rank, const char* text) {
        return json::object{{"logprob", logprob}, {"rank", rank}, {"decoded_token", text}};
    };
    const std::string id_of_hello = std::to_string(hello);
    const std::string id_of_world = std::to_string(world);
    check(form(0), {nullptr, json::object{{id_of_world, member(-2, 3, " world")}},
                    json::object{{id_of_hello, member(-9999, 9, " Hello")}}});
    check(form(1),
          {nullptr,
           json::object{{id_of_world, member(-2, 3, " world")}, {id_of_hello, member(-0.5, 1, " Hello")}},
           json::object{{id_of_hello, member(-9999, 9, " Hello")}, {id_of_world, member(-1, 1, " world")}}});
    BOOST_TEST(form(2).at(1).as_object().size() == 2U);  // the token is one of its alternatives
    std::string text;
    append_prompt_logprobs(text, demo_tokenizer(), RankedLogprobs(entries).first(3), 2, 2);
    const std::string name = "\"" + id_of_world + "\":";
    BOOST_TEST(text.find(name) == text.rfind(name), text);
    BOOST_TEST(form(2).at(2).as_object().size() == 3U);
    BOOST_TEST(form(1).at(1).as_object().begin()->key() == id_of_world, "the token itself comes first");
}

BOOST_AUTO_TEST_CASE(each_choice_of_completions_and_the_whole_chat_answer_have_vllms_form) {
    auto asked = context(-1);
    asked.fields.prompt_logprobs = 0;
    const std::vector<LogDelta> outputs{
        {.output = 0, .finish = FinishReason::length, .prompt_logprobs = prompt_entries},
        {.output = 1, .finish = FinishReason::length, .prompt_logprobs = prompt_entries}};
    const auto expected = json::parse(
        R"([null,{")" + std::to_string(hello) + R"(":{"logprob":-1,"rank":2,"decoded_token":" Hello"}},{")" +
        std::to_string(world) + R"(":{"logprob":-2,"rank":1,"decoded_token":" world"}}])");
    const auto completion = json::parse(rendered(CompletionAnswerWriter(asked, false).whole(outputs, {})));
    for (const auto& choice : completion.at("choices").as_array())
        check(choice.at("prompt_logprobs"), expected);
    const auto chat = json::parse(rendered(ChatAnswerWriter(asked).whole(outputs, {})));
    check(chat.at("prompt_logprobs"), expected);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
