// Tries the spellings of values which clients use: numbers, bounds without an end, parts of a message, and
// broken text.
#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/chat_completions.hpp"
#include "server/api/completions.hpp"
#include "server/api/json.hpp"
#include "server/api/responses.hpp"
#include "server/api/tokenize.hpp"

namespace solard::server {

namespace {

constexpr auto ignored = UnknownFields::ignored;

template <class Request>
Request value_of(result<Request> request, const std::string& body) {
    BOOST_REQUIRE_MESSAGE(request, body << ": " << (request ? "" : request.error().message));
    return *std::move(request);
}

GenerationFields chat(const std::string& fields) {
    const std::string body = R"({"messages":[{"role":"user","content":"Hi"}],)" + fields + "}";
    return value_of(parse_chat_request(body, ignored), body).generation;
}

GenerationFields completion(const std::string& fields) {
    const std::string body = R"({"prompt":"Hi",)" + fields + "}";
    return value_of(parse_completion_request(body, ignored), body).generation;
}

GenerationFields response(const std::string& fields) {
    const std::string body = R"({"input":"Hi",)" + fields + "}";
    return value_of(parse_response_request(body, ignored), body).generation;
}

std::vector<ChatMessage> messages(const std::string& list) {
    const std::string body = R"({"messages":)" + list + "}";
    return value_of(parse_chat_request(body, ignored), body).prompt.messages;
}

std::vector<ChatMessage> items(const std::string& list) {
    const std::string body = R"({"input":)" + list + "}";
    return value_of(parse_response_request(body, ignored), body).input;
}

std::string problem(std::string_view text) {
    const auto value = parse_json(text);
    return value ? "" : value.error().message;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(spellings)

BOOST_AUTO_TEST_CASE(whole_numbers_may_be_written_as_floats) {
    for (const std::string number : {"256", "256.0", "2.56e2", "25600e-2"}) {
        BOOST_TEST(chat(R"("max_tokens":)" + number).max_tokens.value() == 256);
        BOOST_TEST(chat(R"("top_k":)" + number).sampling.top_k.value() == 256);
        BOOST_TEST(chat(R"("seed":)" + number).sampling.seed.value() == 256U);
        BOOST_TEST(completion(R"("stop_token_ids":[)" + number + "]").sampling.stop_token_ids.front() == 256);
        BOOST_TEST(response(R"("max_output_tokens":)" + number).max_tokens.value() == 256);
        const auto prompt = parse_completion_request(R"({"prompt":[)" + number + "]}", ignored);
        BOOST_TEST(std::get<std::vector<TokenId>>(prompt.value().prompts.front()).front() == 256);
        const auto ids = parse_detokenize_request(R"({"tokens":[)" + number + "]}", ignored, 1000);
        BOOST_TEST(ids.value().tokens.front() == 256);
    }
    for (const std::string number : {"256.5", "1e30", "\"256\"", "true"}) {
        const std::string body = R"({"prompt":"Hi","top_k":)" + number + "}";
        BOOST_TEST(parse_completion_request(body, ignored).error().param == "top_k", number);
    }
}

BOOST_AUTO_TEST_CASE(a_seed_of_minus_one_is_random) {
    for (const std::string number : {"-1", "-1.0", "null"}) {
        BOOST_TEST(!chat(R"("seed":)" + number).sampling.seed.has_value());
        BOOST_TEST(!completion(R"("seed":)" + number).sampling.seed.has_value());
        BOOST_TEST(!response(R"("seed":)" + number).sampling.seed.has_value());
    }
    BOOST_TEST(chat(R"("seed":-2)").sampling.seed.value() == static_cast<std::uint64_t>(-2));
    BOOST_TEST(chat(R"("seed":18446744073709551615)").sampling.seed.value() == UINT64_MAX);
}

BOOST_AUTO_TEST_CASE(a_bound_for_tokens_may_be_larger_than_any_context_or_absent) {
    for (const std::string number : {"-1", "16777216", "99999999999", "18446744073709551615", "1e308"}) {
        BOOST_TEST(chat(R"("max_tokens":)" + number).max_tokens.value() == max_token_count);
        BOOST_TEST(chat(R"("max_completion_tokens":)" + number).max_tokens.value() == max_token_count);
        BOOST_TEST(chat(R"("n_predict":)" + number).max_tokens.value() == max_token_count);
        BOOST_TEST(completion(R"("max_tokens":)" + number).max_tokens.value() == max_token_count);
        BOOST_TEST(response(R"("max_output_tokens":)" + number).max_tokens.value() == max_token_count);
    }
    BOOST_TEST(completion(R"("max_tokens":null)").max_tokens.value() == 16);  // OpenAI's default
    BOOST_TEST(!chat(R"("max_tokens":null)").max_tokens.has_value());
    BOOST_TEST(chat(R"("max_tokens":5,"max_completion_tokens":7)").max_tokens.value() == 5);
    for (const std::string number : {"0", "-2", "1.5", "\"5\""}) {
        const std::string body = R"({"prompt":"Hi","max_tokens":)" + number + "}";
        BOOST_TEST(parse_completion_request(body, ignored).error().param == "max_tokens", number);
    }
}

BOOST_AUTO_TEST_CASE(min_tokens_is_compared_with_the_bound_that_was_sent) {
    const auto error = [](const std::string& fields) {
        return parse_chat_request(R"({"messages":[{"role":"user","content":"Hi"}],)" + fields + "}", ignored)
            .error();
    };
    const auto wrong = error(R"("min_tokens":9,"max_completion_tokens":8)");
    BOOST_TEST(wrong.param == "min_tokens");
    BOOST_TEST(wrong.message == "min_tokens must be at most max_completion_tokens (8), but is 9.");
    BOOST_TEST(error(R"("min_tokens":9,"max_tokens":5,"max_completion_tokens":9)").param == "min_tokens");
    // Each name is an upper bound, so the smallest one holds.
    BOOST_TEST(chat(R"("max_tokens":100,"max_completion_tokens":-1)").max_tokens.value() == 100);
    BOOST_TEST(chat(R"("max_tokens":7,"max_completion_tokens":9,"n_predict":8)").max_tokens.value() == 7);
    // Without a bound of the client, the server's own bound wins in silence.
    BOOST_TEST(completion(R"("min_tokens":100)").max_tokens.value() == 100);
    BOOST_TEST(completion(R"("min_tokens":3)").max_tokens.value() == 16);
    const auto fields = completion(R"("min_tokens":100)");
    BOOST_TEST(make_request(fields.sampling, {.vocab_size = 1}, 16).value().min_tokens == 16);
}

BOOST_AUTO_TEST_CASE(top_p_may_be_zero) {
    BOOST_TEST(chat(R"("top_p":0)").sampling.top_p.value() == 0);
    const auto request = make_request(chat(R"("top_p":0)").sampling, {.vocab_size = 1}, 1).value();
    BOOST_TEST(request.sampling.top_p > 0);  // the smallest float keeps exactly the likeliest token
}

BOOST_AUTO_TEST_CASE(an_empty_list_of_biases_is_an_empty_object) {
    BOOST_TEST(chat(R"("logit_bias":[])").sampling.logit_bias.empty());
    BOOST_TEST(parse_completion_request(R"({"prompt":"Hi","logit_bias":[[1,2]]})", ignored).error().param ==
               "logit_bias");
}

BOOST_AUTO_TEST_CASE(parts_of_a_message_are_joined_with_a_line_break) {
    const std::string content = R"(["a",{"type":"text","text":"b"},{"type":"input_text","text":"c"},)"
                                R"({"type":"output_text","text":"d"},{"type":"refusal","refusal":"e"}])";
    BOOST_TEST(messages(R"([{"role":"user","content":)" + content + "}]").front().content == "a\nb\nc\nd\ne");
    BOOST_TEST(items(R"([{"role":"user","content":)" + content + "}]").front().content == "a\nb\nc\nd\ne");
    BOOST_TEST(messages(R"([{"role":"user","content":[]}])").front().content.empty());
    const auto tokenized =
        parse_tokenize_request(R"({"messages":[{"role":"user","content":["a","b"]}]})", ignored);
    BOOST_TEST(std::get<ChatPrompt>(tokenized.value().prompt).messages.front().content == "a\nb");
}

BOOST_AUTO_TEST_CASE(an_assistant_turn_may_be_empty) {
    for (const std::string rest : {"", R"(,"content":null)", R"(,"content":"")", R"(,"content":[])"}) {
        BOOST_TEST(messages(R"([{"role":"assistant")" + rest + "}]").front().content.empty());
        BOOST_TEST(items(R"([{"role":"assistant")" + rest + "}]").front().content.empty());
    }
    BOOST_TEST(messages(R"([{"role":"assistant","content":null,"refusal":"No."}])").front().content == "No.");
    for (const std::string rest : {"", R"(,"content":null)"}) {
        const auto request = parse_chat_request(R"({"messages":[{"role":"user")" + rest + "}]}", ignored);
        BOOST_TEST(request.error().param == "messages[0].content");
    }
}

BOOST_AUTO_TEST_CASE(an_empty_input_continues_a_previous_response) {
    BOOST_TEST(
        value_of(parse_response_request(R"({"input":[],"previous_response_id":"resp_1"})", ignored), "")
            .input.empty());
    for (const std::string rest : {"", R"(,"previous_response_id":null)"})
        BOOST_TEST(parse_response_request(R"({"input":[])" + rest + "}", ignored).error().param == "input");
}

BOOST_AUTO_TEST_CASE(a_response_can_continue_the_last_message) {
    const auto end = [](const std::string& role, const std::string& fields) {
        return parse_response_request(
            R"({"input":[{"role":")" + role + R"(","content":"Hi"}],)" + fields + "}", ignored);
    };
    const std::string continues = R"("continue_final_message":true)";
    BOOST_TEST((end("assistant", continues).value().end == PromptEnd::continued_message));
    BOOST_TEST((end("assistant", R"("user":"u")").value().end == PromptEnd::assistant_turn));
    BOOST_TEST(end("user", continues).error().param == "continue_final_message");
    BOOST_TEST(end("assistant", continues + R"(,"add_generation_prompt":true)").error().param ==
               "continue_final_message");
    BOOST_TEST(parse_response_request(R"({"input":"Hi",)" + continues + "}", ignored).error().param ==
               "continue_final_message");
}

BOOST_AUTO_TEST_CASE(half_of_a_surrogate_pair_becomes_the_replacement_character) {
    const auto text = [](std::string_view json) {
        return std::string(parse_json(json).value().as_array().front().as_string());
    };
    BOOST_TEST(text(R"(["a\ud83d"])") == "a\uFFFD");
    BOOST_TEST(text(R"(["\ude00b"])") == "\uFFFDb");
    BOOST_TEST(text(R"(["\uD83D\u0041"])") == "\uFFFDA");
    BOOST_TEST(text(R"(["\ud83d\ud83d\ude00"])") == "\uFFFD\U0001F600");
    BOOST_TEST(text(R"(["\ude00\ud83d\ude00\ud83d"])") == "\uFFFD\U0001F600\uFFFD");
    BOOST_TEST(text(R"(["\\ud83d"])") == R"(\ud83d)");
    BOOST_TEST(parse_json(R"({"\ud83d":1})").value().as_object().begin()->key() == "\uFFFD");
}

BOOST_AUTO_TEST_CASE(byte_order_mark_is_skipped) {
    BOOST_TEST(parse_json("\xEF\xBB\xBF{\"a\":1}").value().as_object().size() == 1U);
    BOOST_TEST(
        parse_chat_request("\xEF\xBB\xBF{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}", ignored)
            .has_value());
}

BOOST_AUTO_TEST_CASE(error_says_where_the_text_is_not_json_and_what_is_there) {
    const std::string begin = "The request is not valid JSON at ";
    BOOST_TEST(problem(R"({"a": NaN})") == begin + "line 1, column 7 (byte 6): found 'NaN'.");
    BOOST_TEST(problem("{\n  \"a\": tru\n}") == begin + "line 2, column 8 (byte 9): found 'tru'.");
    BOOST_TEST(problem(R"({"a":1,})") == begin + "line 1, column 8 (byte 7): found '}'.");
    BOOST_TEST(problem(R"({'a':1})") == begin + "line 1, column 2 (byte 1): found '''.");
    BOOST_TEST(problem(R"({"a":1} x)") == begin + "line 1, column 9 (byte 8): found 'x'.");
    BOOST_TEST(problem(R"({"a": "b)") == begin + "line 1, column 9 (byte 8): the text ends too early.");
    // A broken character close to the end, and a text with a byte order mark.
    BOOST_TEST(problem("{\"a\":\"\xF0\"}") ==
               begin + "line 1, column 7 (byte 6): found the byte 0xF0, which is not valid UTF-8.");
    BOOST_TEST(problem("\xEF\xBB\xBF{\"a\": NaN}") == begin + "line 1, column 7 (byte 9): found 'NaN'.");
    BOOST_TEST(problem("") == begin + "line 1, column 1 (byte 0): the text ends too early.");
    BOOST_TEST(problem("{\"a\": \"caf\xE9\"}") ==
               begin + "line 1, column 11 (byte 10): found the byte 0xE9, which is not valid UTF-8.");
    BOOST_TEST(problem("{\"\xEB\x8B\xB5\": \xEB\x8B\xB5}") ==
               begin + "line 1, column 7 (byte 8): found '\xEB\x8B\xB5'.");
    BOOST_TEST(problem("{\"a\": \"b\tc\"}") ==
               begin + "line 1, column 9 (byte 8): found the control character 0x09.");
    BOOST_TEST(problem("\x1F\x8B\x08") ==
               begin + "line 1, column 1 (byte 0): the text is compressed with gzip.");
    BOOST_TEST(problem("[1e99999999999]") ==
               begin + "line 1, column 13 (byte 12): the exponent of a number has too many digits.");
    BOOST_TEST(
        problem(std::string(40, '[')) ==
        begin +
            "line 1, column 33 (byte 32): lists and objects are nested too deeply (more than 32 levels).");
}

BOOST_AUTO_TEST_CASE(error_says_where_a_number_is_too_large) {
    const auto at = [](const std::string& place) {
        return "The request contains a number which is too large for a 64-bit float at " + place + ".";
    };
    BOOST_TEST(problem("1e400") == at("line 1, column 1 (byte 0)"));
    BOOST_TEST(problem("[1, -1.5E+400 ]") == at("line 1, column 5 (byte 4)"));
    BOOST_TEST(problem("{\"a\":\"\xEB\x8B\xB5\",\n \"b\": {\"c\": 1e999}}") ==
               at("line 2, column 13 (byte 24)"));
    BOOST_TEST(problem("\xEF\xBB\xBF[1e400]") == at("line 1, column 2 (byte 4)"));
    BOOST_TEST(problem("[1" + std::string(400, '0') + "]") == at("line 1, column 2 (byte 1)"));
}

BOOST_AUTO_TEST_CASE(error_says_which_key_stands_twice_and_where) {
    const auto at = [](const std::string& key, const std::string& place) {
        return "The request contains the key '" + key + "' twice in one object at " + place + ".";
    };
    BOOST_TEST(problem(R"({"a":1,"a":2})") == at("a", "line 1, column 8 (byte 7)"));
    BOOST_TEST(problem("{\"b\": {\"a\": 1,\n  \"\\u0061\" : 2}}") == at("a", "line 2, column 3 (byte 17)"));
    BOOST_TEST(problem(R"([{"":1,"":2}])") == at("", "line 1, column 8 (byte 7)"));
    BOOST_TEST(problem(R"({"\"\\":1,"x\"":3,"\"\\":2})") == at("\"\\", "line 1, column 19 (byte 18)"));
    BOOST_TEST(problem("\xEF\xBB\xBF{\"\xEB\x8B\xB5\":1,\"\xEB\x8B\xB5\":1}") ==
               at("\xEB\x8B\xB5", "line 1, column 8 (byte 12)"));
    // A lone surrogate becomes U+FFFD, which does not move what follows.
    BOOST_TEST(problem(R"({"\ud83d":1,"a":1,"a":1})") == at("a", "line 1, column 19 (byte 18)"));
    BOOST_TEST(parse_json(R"({"a":1,"a":2})").error().param == "a");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
