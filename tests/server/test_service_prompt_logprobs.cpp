// Tests log probabilities of prompts through the whole server with a FakeBackend, whose numbers are known.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <boost/json/value_to.hpp>
#include <boost/test/unit_test.hpp>
#include <map>
#include <string>
#include <vector>

#include "inference/text/utf8.hpp"
#include "tests/support/demo_tokenizer.hpp"
#include "tests/support/running_service.hpp"

namespace solard::server {

namespace {

namespace json = boost::json;

HttpAnswer complete(RunningService& service, const std::string& body) {
    Connection connection(service.port());
    connection.send(post_request("/v1/completions", body));
    return connection.read_answer();
}

json::value completed(RunningService& service, const std::string& body) {
    const auto answer = complete(service, body);
    BOOST_REQUIRE_MESSAGE(answer.status == 200, body << ": " << answer.body);
    return json::parse(answer.body);
}

std::string as_list(const std::vector<TokenId>& tokens) {
    std::string list;
    for (const TokenId token : tokens) list += (list.empty() ? "" : ",") + std::to_string(token);
    return "[" + list + "]";
}

FakeOptions small_steps() {
    FakeOptions options;
    options.capacity.max_tokens_per_step = 16;
    options.capacity.max_seqs_per_step = 8;
    return options;
}

// Returns the scores of the prompt's token at index `i`: its own, then those of `num_alternatives` tokens.
std::vector<RankedLogprob> scores_of(const std::vector<TokenId>& prompt, std::size_t i,
                                     std::int32_t num_alternatives) {
    FakeOptions options;  // those of RunningService
    options.vocab_size = demo_tokenizer().vocab_size();
    options.first_token = 300;
    return fake_scores(std::span(prompt).first(i), prompt[i], num_alternatives, options);
}

// Checks vLLM's form of the prompt's log probabilities.
void check_prompt(const json::value& found, const std::vector<TokenId>& prompt,
                  std::int32_t num_alternatives) {
    const auto& list = found.as_array();
    BOOST_REQUIRE(list.size() == prompt.size());
    BOOST_TEST(list.front().is_null());
    for (std::size_t i = 1; i < prompt.size(); ++i) {
        std::map<std::string, RankedLogprob> expected;
        for (const auto& score : scores_of(prompt, i, num_alternatives))
            expected.emplace(std::to_string(score.token), score);
        const auto& item = list[i].as_object();
        BOOST_REQUIRE(item.size() == expected.size());
        for (const auto& [id, score] : expected) {
            const auto& entry = item.at(id).as_object();
            BOOST_TEST(entry.at("logprob").to_number<float>() == score.logprob);
            BOOST_TEST(entry.at("rank") == score.rank);
            BOOST_TEST(std::string(entry.at("decoded_token").as_string()) ==
                       demo_tokenizer().bytes_of(score.token, false));
        }
    }
}

// Checks the token_logprobs of a choice: those of the prompt, then those of `num_generated` other tokens.
void check_echoed(const json::value& choice, const std::vector<TokenId>& prompt, std::size_t num_generated) {
    const auto& logprobs = choice.at("logprobs").at("token_logprobs").as_array();
    BOOST_REQUIRE(logprobs.size() == prompt.size() + num_generated);
    BOOST_TEST(logprobs.front().is_null());
    for (std::size_t i = 1; i < prompt.size(); ++i)
        BOOST_TEST(logprobs[i].to_number<float>() == scores_of(prompt, i, 0).front().logprob);
    for (const char* name : {"tokens", "top_logprobs", "text_offset"})
        BOOST_TEST(choice.at("logprobs").at(name).as_array().size() == logprobs.size());
}

// Returns the text without its first `count` characters.
std::string_view after_characters(std::string_view text, std::size_t count) {
    std::size_t begin = 0;
    while (begin < text.size() && (count > 0 || count_characters(text.substr(begin, 1)) == 0))
        count -= count_characters(text.substr(begin++, 1));
    return text.substr(begin);
}

// Returns the choices of a streamed answer, put together from its chunks.
json::array joined(const std::string& body, std::size_t num_choices) {
    json::array choices(num_choices);
    for (auto& choice : choices)
        choice = {{"text", ""}, {"logprobs", json::object()}, {"finish_reason", nullptr}};
    for (std::size_t at = 0; (at = body.find("data: {", at)) != std::string::npos; ++at) {
        const auto event = json::parse(body.substr(at + 6, body.find("\n\n", at) - at - 6));
        if (event.at("choices").as_array().empty()) continue;
        const auto& chunk = event.at("choices").at(0);
        auto& choice = choices.at(chunk.at("index").to_number<std::size_t>()).as_object();
        choice["text"].as_string() += chunk.at("text").as_string();
        if (!chunk.at("finish_reason").is_null()) choice["finish_reason"] = chunk.at("finish_reason");
        if (chunk.at("logprobs").is_null()) continue;
        auto& logprobs = choice["logprobs"].as_object();
        for (const auto& [name, list] : chunk.at("logprobs").as_object()) {
            if (!logprobs.contains(name)) logprobs[name] = json::array();
            for (const auto& item : list.as_array()) logprobs[name].as_array().push_back(item);
        }
    }
    return choices;
}

// More than 32 tokens.
const std::string words =
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen";

}  // namespace

BOOST_AUTO_TEST_SUITE(service_prompt_logprobs)

BOOST_AUTO_TEST_CASE(texts_and_token_ids_are_scored_over_several_steps) {
    RunningService service({}, small_steps());
    const auto prompt = demo_tokenizer().encode(words, {}).value();
    BOOST_REQUIRE(prompt.size() > 32U);  // more than two steps
    for (const std::string& form : {"\"" + words + "\"", as_list(prompt)}) {
        const auto answer =
            completed(service, R"({"max_tokens":3,"prompt_logprobs":4,"prompt":)" + form + "}");
        const auto& choice = answer.at("choices").at(0);
        check_prompt(choice.at("prompt_logprobs"), prompt, 4);
        BOOST_TEST(choice.at("logprobs").is_null());
        BOOST_TEST(answer.at("usage").at("completion_tokens") == 3);
    }
}

BOOST_AUTO_TEST_CASE(several_prompts_and_choices_have_each_their_own) {
    RunningService service({}, small_steps());
    const std::vector<std::string> texts{words, "a", "", "one two"};
    const auto list = json::serialize(json::value_from(texts));
    const std::string fields = R"("n":2,"seed":1,"max_tokens":2,"ignore_eos":true,"prompt":)" + list;
    const auto choices =
        completed(service, R"({"echo":true,"logprobs":2,"prompt_logprobs":1,)" + fields + "}")
            .at("choices")
            .as_array();
    BOOST_REQUIRE(choices.size() == 8U);
    for (std::size_t i = 0; i < choices.size(); ++i) {
        const auto prompt = demo_tokenizer().encode(texts[i / 2], {}).value();
        check_prompt(choices[i].at("prompt_logprobs"), prompt, 1);
        check_echoed(choices[i], prompt, 2);
        BOOST_TEST(std::string(choices[i].at("text").as_string()).starts_with(texts[i / 2]));
    }
    const auto stream = complete(service, R"({"echo":true,"logprobs":2,"stream":true,)" + fields + "}");
    BOOST_TEST(stream.status == 200);
    const auto streamed = joined(stream.body, 8);
    for (std::size_t i = 0; i < choices.size(); ++i) {
        for (const char* name : {"text", "logprobs", "finish_reason"})
            BOOST_TEST(streamed[i].at(name) == choices[i].at(name), name << " of choice " << i);
    }
}

BOOST_AUTO_TEST_CASE(stream_sends_the_parts_of_a_long_prompt_as_they_are_computed) {
    RunningService service({}, small_steps());
    service.control().close_gate();
    Connection connection(service.port());
    connection.send(
        post_request("/v1/completions",
                     R"({"echo":true,"logprobs":1,"stream":true,"max_tokens":1,"prompt":")" + words + "\"}"));
    service.control().pass_one();
    const auto first = connection.read_until("text_offset");
    BOOST_TEST(first.find(words) != std::string::npos);
    service.control().open_gate();
    const auto choices = joined(connection.read_answer().body, 1);
    check_echoed(choices[0], demo_tokenizer().encode(words, {}).value(), 1);
}

BOOST_AUTO_TEST_CASE(offsets_point_at_the_tokens_in_the_text) {
    RunningService service({}, small_steps());
    for (const std::string fields : {R"("prompt":"one two")", R"("prompt":[1,5,600])", R"("prompt":[600,5])",
                                     R"("prompt":"</s> one two")", R"("prompt":"<s>one two")",
                                     R"("prompt":[1,2,600,2,5],"skip_special_tokens":false)"}) {
        const auto answer =
            completed(service, R"({"echo":true,"logprobs":0,"max_tokens":4,"seed":1,"ignore_eos":true,)" +
                                   fields + "}");
        const auto& choice = answer.at("choices").at(0);
        const std::string text(choice.at("text").as_string());
        const auto& tokens = choice.at("logprobs").at("tokens").as_array();
        const auto& offsets = choice.at("logprobs").at("text_offset").as_array();
        BOOST_REQUIRE(tokens.size() == offsets.size());
        bool has_word = false;
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            const std::string token(tokens[i].as_string());
            const bool is_added = i == 0 && token == "<s>" && !text.starts_with(token);
            const bool lacks_space =
                !has_word && token.starts_with(' ') && !fields.starts_with(R"("prompt":[1,2)");
            has_word = has_word || !token.starts_with('<');
            if (is_added || token.starts_with("bytes:")) continue;
            const auto rest = after_characters(text, offsets[i].to_number<std::size_t>());
            BOOST_TEST(rest.starts_with(token.substr(lacks_space ? 1 : 0)), fields << ": " << answer);
        }
    }
}

BOOST_AUTO_TEST_CASE(nothing_is_generated_if_max_tokens_is_0) {
    RunningService service({}, small_steps());
    const auto prompt = demo_tokenizer().encode(words, {}).value();
    const auto check = [&](const json::value& answer, std::size_t num_choices) {
        BOOST_TEST(answer.at("usage").at("completion_tokens") == 0);
        BOOST_TEST(answer.at("usage").at("prompt_tokens") == prompt.size());
        BOOST_REQUIRE(answer.at("choices").as_array().size() == num_choices);
        for (const auto& choice : answer.at("choices").as_array())
            BOOST_TEST(choice.at("finish_reason") == "length");
    };
    const std::string fields = R"("max_tokens":0,"prompt":")" + words + "\"}";
    const auto scored = completed(service, R"({"prompt_logprobs":2,)" + fields);
    check(scored, 1);
    BOOST_TEST(scored.at("choices").at(0).at("text") == "");
    check_prompt(scored.at("choices").at(0).at("prompt_logprobs"), prompt, 2);

    const auto echoed = completed(service, R"({"echo":true,"logprobs":1,"n":2,)" + fields);
    check(echoed, 2);
    for (const auto& choice : echoed.at("choices").as_array()) {
        BOOST_TEST(std::string(choice.at("text").as_string()) == words);
        check_echoed(choice, prompt, 0);
    }
    const auto text_only = completed(service, R"({"echo":true,)" + fields);
    check(text_only, 1);
    BOOST_TEST(std::string(text_only.at("choices").at(0).at("text").as_string()) == words);
    BOOST_TEST(text_only.at("choices").at(0).at("logprobs").is_null());

    const auto stream = complete(
        service,
        R"({"echo":true,"logprobs":1,"stream":true,"stream_options":{"include_usage":true},)" + fields);
    const auto choices = joined(stream.body, 1);
    BOOST_TEST(choices[0].at("finish_reason") == "length");
    check_echoed(choices[0], prompt, 0);
    BOOST_TEST(stream.body.find(R"("completion_tokens":0)") != std::string::npos);

    Connection connection(service.port());
    connection.send(
        chat_request("hello", R"("max_completion_tokens":0,"prompt_logprobs":1,"return_token_ids":true)"));
    const auto chat = json::parse(connection.read_answer().body);
    BOOST_TEST(chat.at("choices").at(0).at("message").at("content") == "");
    BOOST_TEST(chat.at("choices").at(0).at("finish_reason") == "length");
    check_prompt(chat.at("prompt_logprobs"),
                 json::value_to<std::vector<TokenId>>(chat.at("prompt_token_ids")), 1);
    wait_for_in_flight(service.port(), 0);
    wait_for_free_blocks(service.port());
}

BOOST_AUTO_TEST_CASE(number_of_log_probabilities_of_an_answer_is_limited) {
    RunningService service({"--max-prompt-logprobs", "60"}, small_steps());
    const auto status = [&](const std::string& fields) {
        return complete(service, "{" + fields + "}").status;
    };
    // A prompt of 11 tokens has 10 log probabilities and, with 5 alternatives, 60 entries.
    const std::string prompt =
        R"("max_tokens":1,"prompt":)" + as_list({1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14});
    const std::string prompts = R"("max_tokens":1,"prompt":[[1,5,6,7,8,9],[1,5,6,7,8,9]])";
    for (const std::string& fits :
         {prompt + R"(,"prompt_logprobs":5)", prompt + R"(,"echo":true,"logprobs":5)",
          prompt + R"(,"prompt_logprobs":2,"n":2)", prompts + R"(,"prompt_logprobs":5)",
          prompt + R"(,"logprobs":20)"})
        BOOST_TEST(status(fits) == 200, fits);
    // The answer of a chat completion has them once for all choices.
    Connection chat(service.port());
    chat.send(chat_request("hello", R"("max_tokens":1,"prompt_logprobs":1,"n":4)"));
    BOOST_TEST(chat.read_answer().status == 200);
    const auto steps = service.control().steps();
    const std::map<std::string, std::string> refused{
        {prompt + R"(,"prompt_logprobs":6)", "prompt_logprobs"},
        {prompt + R"(,"echo":true,"logprobs":6)", "logprobs"},
        {prompt + R"(,"prompt_logprobs":2,"n":3)", "prompt_logprobs"},
        {prompts + R"(,"prompt_logprobs":6)", "prompt_logprobs"}};
    for (const auto& [fields, param] : refused) {
        const auto answer = complete(service, "{" + fields + "}");
        BOOST_TEST(answer.status == 400, fields);
        const auto error = json::parse(answer.body).at("error");
        BOOST_TEST(error.at("code") == "invalid_value");
        BOOST_TEST(std::string(error.at("param").as_string()) == param, fields);
        BOOST_TEST(std::string(error.at("message").as_string()).find("--max-prompt-logprobs") !=
                   std::string::npos);
    }
    BOOST_TEST(service.control().steps() == steps);
}

BOOST_AUTO_TEST_CASE(scored_prompt_may_fill_the_context_if_nothing_is_generated) {
    FakeOptions options;
    options.capacity = {
        .num_blocks = 64, .max_tokens_per_step = 512, .max_seqs_per_step = 8, .max_model_len = 256};
    RunningService service({"--max-prompt-logprobs", "5000"}, options);
    const auto with_tokens = [](std::size_t count) {
        return R"({"prompt":)" + as_list(std::vector<TokenId>(count, 5));
    };
    const std::string scores = R"(,"max_tokens":0,"prompt_logprobs":0})";
    const auto answer = completed(service, with_tokens(256) + scores);
    BOOST_TEST(answer.at("choices").at(0).at("prompt_logprobs").as_array().size() == 256U);
    const auto code_of = [&](const std::string& body) {
        const auto refusal = complete(service, body);
        return std::string(json::parse(refusal.body).at("error").at("code").as_string());
    };
    BOOST_TEST(code_of(with_tokens(257) + scores) == "context_length_exceeded");
    BOOST_TEST(code_of(with_tokens(256) + R"(,"max_tokens":1,"prompt_logprobs":0})") ==
               "context_length_exceeded");
    // The prompt is too long for the context and for the limit of log-probabilities. Clients know what to do
    // about the context.
    BOOST_TEST(code_of(with_tokens(300) + R"(,"prompt_logprobs":20})") == "context_length_exceeded");
}

BOOST_AUTO_TEST_CASE(request_that_only_scores_has_its_times_in_the_metrics) {
    RunningService service;
    completed(service, R"({"prompt":"one two","max_tokens":0,"prompt_logprobs":0})");
    Connection connection(service.port());
    connection.send(get_request("/metrics"));
    const auto metrics = connection.read_answer().body;
    const auto count_of = [&](const std::string& name) {
        const auto begin = metrics.find("\n" + name + "_count{") + 1;
        BOOST_REQUIRE(begin > 0U);
        const auto line = metrics.substr(begin, metrics.find('\n', begin) - begin);
        return line.substr(line.find("} ") + 2);
    };
    BOOST_TEST(count_of("solard_request_inference_time_seconds") == "1");
    BOOST_TEST(count_of("solard_request_prefill_time_seconds") == "0");
}

BOOST_AUTO_TEST_CASE(limit_of_zero_refuses_every_log_probability_of_a_prompt) {
    RunningService service({"--max-prompt-logprobs", "0"});
    BOOST_TEST(complete(service, R"({"prompt":"one two","prompt_logprobs":0})").status == 400);
    BOOST_TEST(complete(service, R"({"prompt":"one two","echo":true,"max_tokens":0})").status == 200);
}

BOOST_AUTO_TEST_CASE(result_that_exceeds_the_waiting_memory_fails_alone) {
    FakeOptions options;
    options.capacity = {
        .num_blocks = 2048, .max_tokens_per_step = 512, .max_seqs_per_step = 8, .max_model_len = 16'000};
    RunningService service({"--max-waiting-memory", "1MiB"}, options);
    std::vector<TokenId> prompt(5'000, 5);
    const std::string body = R"({"max_tokens":1,"prompt":)" + as_list(prompt);
    // 21 entries of 12 bytes for each of 5,000 tokens are more than a megabyte.
    const auto answer = complete(service, body + R"(,"prompt_logprobs":20})");
    BOOST_TEST(answer.status == 503);
    BOOST_TEST(json::parse(answer.body).at("error").at("code") == "server_overloaded");
    BOOST_TEST(complete(service, body + R"(,"prompt_logprobs":0})").status == 200);
    wait_for_in_flight(service.port(), 0);
    wait_for_free_blocks(service.port());
}

BOOST_AUTO_TEST_CASE(scored_prompt_comes_from_no_cache_but_may_fill_it) {
    RunningService service({}, small_steps());
    const auto cached = [&](const std::string& fields) {
        const auto answer = completed(service, R"({"max_tokens":1,"prompt":")" + words + "\"" + fields + "}");
        return answer.at("usage").at("prompt_tokens_details").at("cached_tokens").to_number<int>();
    };
    BOOST_TEST(cached(R"(,"prompt_logprobs":1)") == 0);
    BOOST_TEST(cached("") >= 16);
    BOOST_TEST(cached(R"(,"prompt_logprobs":1)") == 0);
    BOOST_TEST(cached(R"(,"echo":true,"logprobs":1)") == 0);
    BOOST_TEST(cached(R"(,"echo":true)") >= 16);
}

BOOST_AUTO_TEST_CASE(large_scored_answer_is_sent_in_pieces) {
    RunningService service;
    const std::vector<TokenId> prompt(500, 5);
    const std::string fields =
        R"("echo":true,"logprobs":20,"n":4,"max_tokens":1,"ignore_eos":true,"prompt":)" + as_list(prompt);
    for (const char* stream : {"", R"(,"stream":true)"}) {
        Connection connection(service.port());
        connection.send(post_request("/v1/completions", "{" + fields + stream + "}"));
        const std::string head = connection.read_until("\r\n\r\n");
        BOOST_TEST(head.find("Transfer-Encoding: chunked") != std::string::npos);
        connection.read_bytes(head.find("\r\n\r\n") + 4);
        std::size_t num_chunks = 0;
        for (;; ++num_chunks) {
            const std::string buffer = connection.read_until("\r\n");
            const auto line = buffer.find("\r\n");
            const auto size = std::stoul(buffer.substr(0, line), nullptr, 16);
            connection.read_bytes(line + 2);
            if (size == 0) break;
            BOOST_TEST(size <= 512U << 10);
            connection.read_bytes(size + 2);
        }
        BOOST_TEST(num_chunks > 8U);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
