#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/test/unit_test.hpp>
#include <limits>

#include "server/api/chat_completions.hpp"
#include "server/api/error.hpp"
#include "server/api/fields.hpp"
#include "server/api/json.hpp"
#include "server/api/logprobs.hpp"
#include "tests/support/demo_tokenizer.hpp"
#include "tests/support/rendered.hpp"

namespace solard::server {

namespace {

// Returns a valid body with additional fields. Example: body(R"("seed":1)").
std::string body(const std::string& fields = "") {
    return R"({"messages":[{"role":"user","content":"hi"}])" + (fields.empty() ? "" : "," + fields) + "}";
}

ChatRequest parsed(const std::string& text) {
    auto request = parse_chat_request(text, UnknownFields::ignored);
    BOOST_REQUIRE_MESSAGE(request, text << ": " << (request ? "" : request.error().message));
    return *std::move(request);
}

void refused(const std::string& text, errc code, std::string_view param) {
    const auto request = parse_chat_request(text, UnknownFields::ignored);
    BOOST_REQUIRE_MESSAGE(!request, text << " was accepted");
    BOOST_TEST((request.error().code == code), text << ": " << request.error().message);
    BOOST_TEST(request.error().param == param, text);
    BOOST_TEST(!request.error().message.empty());
}

void changes_nothing(const SamplingFields& sampling) {
    const auto request = make_request(sampling, {.vocab_size = 1}, 1).value();
    const SamplingParams params;
    BOOST_TEST(request.sampling.temperature == params.temperature);
    BOOST_TEST(request.sampling.top_p == params.top_p);
    BOOST_TEST(request.sampling.min_p == params.min_p);
    BOOST_TEST(request.sampling.top_k == params.top_k);
    BOOST_TEST(request.sampling.repetition_penalty == params.repetition_penalty);
    BOOST_TEST(request.sampling.frequency_penalty == params.frequency_penalty);
    BOOST_TEST(request.sampling.presence_penalty == params.presence_penalty);
    BOOST_TEST(request.sampling.num_logprobs == params.num_logprobs);
    BOOST_TEST(!sampling.seed.has_value());
    BOOST_TEST(request.num_choices == 1);
    BOOST_TEST(request.logit_bias.empty());
    BOOST_TEST(request.stop.empty());
    BOOST_TEST(request.stop_token_ids.empty());
    BOOST_TEST(request.min_tokens == 0);
    BOOST_TEST(!request.ignore_eos);
    BOOST_TEST(request.priority == 0);
}

// Returns the token for one raw byte.
TokenId byte_token(unsigned char byte) {
    TokenId token = 0;
    while (demo_tokenizer().bytes_of(token) != std::string(1, static_cast<char>(byte))) ++token;
    return token;
}

// Collects the chunks of a stream. The test sets the fields of the request.
struct Answer {
    AnswerContext context() const { return {identity, fields, demo_tokenizer(), prompts}; }
    void add(const LogDelta& delta, const Usage& usage = {}) {
        if (!writer) writer.emplace(context());
        writer->append_chunks(out, delta, usage);
    }
    void add_usage(const Usage& usage) { writer->append_usage_chunk(out, usage); }
    std::vector<boost::json::object> events() const {
        std::vector<boost::json::object> events;
        for (std::size_t begin = 0; begin < out.size();) {
            const auto end = out.find("\n\n", begin);
            BOOST_REQUIRE(out.substr(begin, 6) == "data: ");
            events.push_back(boost::json::parse(out.substr(begin + 6, end - begin - 6)).as_object());
            begin = end + 2;
        }
        return events;
    }

    AnswerIdentity identity{"chatcmpl-1", "m", 5};
    GenerationFields fields = [] {
        GenerationFields wanted;
        wanted.include_usage = true;
        return wanted;
    }();
    std::vector<ShownPrompt> prompts;
    std::optional<ChatAnswerWriter> writer;
    std::string out;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(chat_completions)

BOOST_AUTO_TEST_CASE(request_with_every_field_is_parsed) {
    const auto request = parsed(
        R"({"model":"m","messages":[{"role":"system","content":"s"},{"role":"developer","content":"d"},
            {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
            {"role":"assistant","content":"x"}],
            "max_tokens":7,"temperature":0.5,"top_p":0.25,"seed":-2,"stop":["a","b"],"stream":true,
            "stream_options":{"include_usage":true},"user":"me","metadata":{"a":"b"},"store":true,
            "min_p":0.125,"top_k":4,"repetition_penalty":1.5,"frequency_penalty":-1,"presence_penalty":2,
            "stop_token_ids":[5,6],"min_tokens":3,"ignore_eos":true,"logit_bias":{"7":-100,"0":0.5},"n":8,
            "best_of":1,"logprobs":true,"top_logprobs":20,"priority":-3})");
    BOOST_TEST(request.generation.model == "m");
    BOOST_REQUIRE(request.prompt.messages.size() == 4);
    BOOST_TEST((request.prompt.messages[1].role == Role::system));
    BOOST_TEST(request.prompt.messages[2].content == "a\nb");
    BOOST_TEST((request.prompt.messages[3].role == Role::assistant));
    BOOST_TEST(*request.generation.max_tokens == 7);
    const auto& sampling = request.generation.sampling;
    BOOST_TEST(*sampling.temperature == 0.5);
    BOOST_TEST(*sampling.top_p == 0.25);
    BOOST_TEST(*sampling.seed == std::numeric_limits<std::uint64_t>::max() - 1);
    BOOST_TEST((sampling.stop == std::vector<std::string>{"a", "b"}));
    BOOST_TEST(*sampling.min_p == 0.125);
    BOOST_TEST(*sampling.top_k == 4);
    BOOST_TEST(*sampling.repetition_penalty == 1.5);
    BOOST_TEST(sampling.frequency_penalty == -1);
    BOOST_TEST(sampling.presence_penalty == 2);
    BOOST_TEST((sampling.stop_token_ids == std::vector<TokenId>{5, 6}));
    BOOST_TEST(sampling.min_tokens == 3);
    BOOST_TEST(sampling.ignore_eos);
    BOOST_REQUIRE(sampling.logit_bias.size() == 2);
    BOOST_TEST(sampling.logit_bias[0].token == 7);
    BOOST_TEST(sampling.logit_bias[0].bias == -100);
    BOOST_TEST(sampling.logit_bias[1].token == 0);
    BOOST_TEST(sampling.logit_bias[1].bias == 0.5F);
    BOOST_TEST(sampling.num_choices == 8);
    BOOST_TEST(sampling.num_logprobs == 20);
    BOOST_TEST(sampling.priority == -3);
    BOOST_TEST(request.generation.stream);
    BOOST_TEST(request.generation.include_usage);
}

BOOST_AUTO_TEST_CASE(nulls_and_neutral_values_count_as_absent) {
    const auto request = parsed(body(
        R"("model":null,"max_tokens":null,"temperature":null,"top_p":null,"seed":null,"stop":null,"stream":null,
           "stream_options":null,"n":1,"frequency_penalty":0,"presence_penalty":0.0,"logit_bias":{},"logprobs":false,
           "top_logprobs":null,"tools":[],"tool_choice":"none","response_format":{"type":"text"},"top_k":-1,"min_p":0,
           "repetition_penalty":1.0,"ignore_eos":false,"min_tokens":0,"guided_json":null,"nvext":{},"best_of":null,
           "stop_token_ids":[],"priority":0)"));
    BOOST_TEST(request.generation.model.empty());
    BOOST_TEST(!request.generation.max_tokens.has_value());
    BOOST_TEST(!request.generation.stream);
    changes_nothing(request.generation.sampling);
    for (const char* field :
         {"temperature", "top_p", "min_p", "top_k", "repetition_penalty", "frequency_penalty",
          "presence_penalty", "seed", "stop", "stop_token_ids", "min_tokens", "ignore_eos", "logit_bias", "n",
          "best_of", "logprobs", "top_logprobs", "priority"})
        changes_nothing(parsed(body("\"" + std::string(field) + "\":null")).generation.sampling);
    changes_nothing(parsed(body(R"("top_logprobs":0)")).generation.sampling);
}

BOOST_AUTO_TEST_CASE(unsupported_fields_which_change_the_answer_are_refused_by_name) {
    for (const char* field : {R"("functions":[{}])", R"("best_of":2)", R"("best_of":0)",
                              R"("length_penalty":2)", R"("chat_template":"x")"}) {
        const std::string text(field);
        refused(body(text), errc::unsupported_parameter, text.substr(1, text.find('"', 1) - 1));
    }
}

BOOST_AUTO_TEST_CASE(unknown_fields_are_refused_by_name_if_configured) {
    const std::string known = body(
        R"("user":"u","metadata":{},"store":false,"parallel_tool_calls":true,"tools":[],"n":1,"service_tier":"auto",
           "stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false},"max_completion_tokens":3)");
    BOOST_TEST(parse_chat_request(known, UnknownFields::refused).has_value());
    const auto refusal = parse_chat_request(body(R"("temprature":1)"), UnknownFields::refused);
    BOOST_REQUIRE(!refusal);
    BOOST_TEST((refusal.error().code == errc::unsupported_parameter));
    BOOST_TEST(refusal.error().param == "temprature");
    BOOST_TEST(parse_chat_request(body(R"("temprature":1)"), UnknownFields::ignored).has_value());
    const auto inner = parse_chat_request(body(R"("stream":true,"stream_options":{"include_use":true})"),
                                          UnknownFields::refused);
    BOOST_REQUIRE(!inner);
    BOOST_TEST(inner.error().param == "stream_options.include_use");
    // An invalid known field is reported before an unknown field.
    BOOST_TEST(parse_chat_request(body(R"("x":1,"n":0)"), UnknownFields::refused).error().param == "n");
}

BOOST_AUTO_TEST_CASE(chat_template_gets_variables_and_documents) {
    const auto with = [](const std::string& fields) {
        return R"({"messages":[{"role":"user","content":"hi","name":"Ann"}],)" + fields + "}";
    };
    const ChatPrompt prompt =
        parsed(with(R"("chat_template_kwargs":{"a":1},"documents":[{"text":"x"}])")).prompt;
    BOOST_TEST(prompt.messages[0].name.value() == "Ann");
    BOOST_TEST(prompt.inputs.kwargs.size() == 1U);
    BOOST_TEST(prompt.inputs.documents.size() == 1U);
    refused(with(R"("chat_template_kwargs":{"messages":[]})"), errc::invalid_value,
            "chat_template_kwargs.messages");
    refused(with(R"("chat_template_kwargs":[])"), errc::invalid_value, "chat_template_kwargs");
    refused(with(R"("documents":["x"])"), errc::invalid_value, "documents");
    const std::string tools = R"("tools":[{"type":"function","function":{"name":"f"}}])";
    BOOST_TEST(parsed(with(tools)).prompt.inputs.tools.size() == 1U);
    BOOST_TEST(parsed(with(tools)).generation.tools->callable.size() == 1U);
    const ChatRequest none = parsed(with(tools + R"(,"tool_choice":"none")"));
    BOOST_TEST(none.prompt.inputs.tools.empty());
    BOOST_TEST(!none.generation.tools.has_value());
}

BOOST_AUTO_TEST_CASE(answer_is_a_new_message_or_continues_the_last_one) {
    const auto chat = [](const std::string& last_role, const std::string& fields) {
        return R"({"messages":[{"role":"user","content":"hi"},{"role":")" + last_role +
               R"(","content":"so"}],)" + fields + "}";
    };
    BOOST_TEST((parsed(chat("assistant", R"("n":1)")).prompt.end == PromptEnd::assistant_turn));
    BOOST_TEST((parsed(chat("assistant", R"("continue_final_message":true)")).prompt.end ==
                PromptEnd::continued_message));
    BOOST_TEST(
        (parsed(chat("user", R"("add_generation_prompt":false)")).prompt.end == PromptEnd::last_message));
    const std::string name = "continue_final_message";
    refused(chat("user", R"("continue_final_message":true)"), errc::invalid_value, name);
    refused(chat("assistant", R"("continue_final_message":true,"add_generation_prompt":true)"),
            errc::invalid_value, name);
    refused(R"({"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"so","tool_calls":[
               {"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}],
               "continue_final_message":true})",
            errc::invalid_value, name);
}

BOOST_AUTO_TEST_CASE(echoed_text_begins_each_choice_once) {
    BOOST_TEST(parsed(body(R"("echo":true)")).echo);
    Answer answer;
    answer.prompts = {{.text = "So \"it\"", .token_ids = {}}};
    answer.add({.text = " is"});
    answer.add({.output = 1, .finish = FinishReason::stop});
    answer.add({.text = ".", .finish = FinishReason::stop});
    std::vector<std::string> texts(2);
    for (const auto& event : answer.events()) {
        const auto& choice = event.at("choices").at(0).as_object();
        if (const auto* content = choice.at("delta").as_object().if_contains("content"))
            texts[choice.at("index").to_number<std::size_t>()] += content->as_string();
    }
    const std::vector<std::string> expected{"So \"it\" is.", "So \"it\""};
    BOOST_TEST(texts == expected, boost::test_tools::per_element());
    const std::vector<LogDelta> choices{{.output = 0, .text = " is.", .finish = FinishReason::stop}};
    const auto whole = boost::json::parse(rendered(ChatAnswerWriter(answer.context()).whole(choices, {})));
    BOOST_TEST(whole.at("choices").at(0).at("message").at("content").as_string() == expected[0]);
}

BOOST_AUTO_TEST_CASE(cache_salt_and_user_have_a_maximum_length) {
    const auto with = [](const std::string& name, std::size_t size) {
        return body("\"" + name + "\":\"" + std::string(size, 'x') + "\"");
    };
    BOOST_TEST(parsed(with("cache_salt", 256)).generation.cache_salt.size() == 256);
    refused(with("cache_salt", 257), errc::invalid_value, "cache_salt");
    refused(with("cache_salt", 0), errc::invalid_value, "cache_salt");
    parsed(with("user", 256));
    refused(with("user", 257), errc::invalid_value, "user");
}

BOOST_AUTO_TEST_CASE(numbers_are_checked_at_the_edges_of_their_ranges) {
    struct Field {
        const char* name;
        std::vector<const char*> accepted;
        std::vector<const char*> refused;
    };
    const std::vector<Field> fields{
        {"temperature", {"0", "2", "0.0", "2e0", "-0.0", "5e-324"}, {"-5e-324", "2.0000000000000005", "3"}},
        {"top_p", {"0", "-0.0", "1", "5e-324", "1.0"}, {"-5e-324", "1.0000000000000003", "-1"}},
        {"min_p", {"0", "-0", "1", "5e-324"}, {"-5e-324", "1.0000000000000003", "2"}},
        {"repetition_penalty", {"2", "5e-324"}, {"0", "-0", "-1", "2.0000000000000005"}},
        {"frequency_penalty", {"-2", "2", "-0.0"}, {"-2.0000000000000005", "2.0000000000000005", "3", "-3"}},
        {"presence_penalty", {"-2", "2", "-0.0"}, {"-2.0000000000000005", "2.0000000000000005", "3", "-3"}},
        {"top_k", {"-1", "0", "-0", "1", "2147483647"}, {"-2", "2147483648", "1.5"}},
        {"min_tokens", {"0", "-0", "16777216"}, {"-1", "16777217", "1.5"}},
        {"n", {"1", "8"}, {"0", "-0", "-1", "9", "2.5"}},
        {"priority", {"-2147483648", "0", "2147483647"}, {"-2147483649", "2147483648", "0.5"}},
    };
    for (const auto& [name, accepted, out_of_range] : fields) {
        const std::string key = "\"" + std::string(name) + "\":";
        for (const char* value : accepted) parsed(body(key + value));
        for (const char* value : out_of_range) refused(body(key + value), errc::invalid_value, name);
        for (const char* value : {"2147483648", "-9223372036854775808", "9223372036854775808", "1e308",
                                  "-1e308", "\"1\"", "true", "[]", "[1]", "{}"})
            refused(body(key + value), errc::invalid_value, name);
    }
    BOOST_TEST(parsed(body(R"("top_k":-1)")).generation.sampling.top_k.value() == 0);
    BOOST_TEST(*parsed(body(R"("max_tokens":5,"max_completion_tokens":6)")).generation.max_tokens == 5);
    for (const char* value : {"0", "-9223372036854775808", "9223372036854775807", "18446744073709551615"})
        parsed(body(std::string("\"seed\":") + value));
    for (const char* value : {"1.5", "1e30", "\"1\"", "18446744073709551616"})
        refused(body(std::string("\"seed\":") + value), errc::invalid_value, "seed");
}

BOOST_AUTO_TEST_CASE(error_message_has_the_field_the_range_and_the_value) {
    const auto message = [](const std::string& fields) {
        return parse_chat_request(body(fields), UnknownFields::ignored).error().message;
    };
    BOOST_TEST(message(R"("temperature":3)") == "temperature must be a number from 0 to 2, but is 3.");
    BOOST_TEST(message(R"("top_p":1.5)") == "top_p must be a number from 0 to 1, but is 1.5.");
    BOOST_TEST(message(R"("n":0)") == "n must be an integer from 1 to 8, but is 0.");
    BOOST_TEST(message(R"("stream":"yes\n")") == R"(stream must be true or false, but is "yes\n".)");
    BOOST_TEST(message(R"("stream":{})") == "stream must be true or false.");
    BOOST_TEST(message(R"("n":")" + std::string(33, 'x') + '"') == "n must be an integer from 1 to 8.");
    const auto missing = parse_chat_request("{}", UnknownFields::ignored).error().message;
    BOOST_TEST(missing == "messages must be a list of 1 to 1024 messages, but is missing.");
}

BOOST_AUTO_TEST_CASE(stop_strings_are_limited_in_number_and_size) {
    const std::string longest(max_stop_bytes, 'x');
    BOOST_TEST(parsed(body("\"stop\":\"" + longest + "\"")).generation.sampling.stop.front() == longest);
    refused(body("\"stop\":\"" + longest + "x\""), errc::invalid_value, "stop");
    std::string list = "[";
    for (std::size_t i = 0; i < max_stop_strings; ++i) list += (i == 0 ? "\"s\"" : ",\"s\"");
    BOOST_TEST(parsed(body("\"stop\":" + list + "]")).generation.sampling.stop.size() == max_stop_strings);
    refused(body("\"stop\":" + list + ",\"s\"]"), errc::invalid_value, "stop");
    for (const char* value : {"\"\"", "[\"\"]", "[1]", "5", "{}"})
        refused(body(std::string("\"stop\":") + value), errc::invalid_value, "stop");
    BOOST_TEST(parsed(body("\"stop\":[]")).generation.sampling.stop.empty());
}

BOOST_AUTO_TEST_CASE(stop_token_ids_are_a_list_of_at_most_64_ids) {
    const auto list_of = [](std::size_t count) {
        std::string list;
        for (std::size_t i = 0; i < count; ++i) list += (i == 0 ? "[" : ",") + std::to_string(i);
        return "\"stop_token_ids\":" + list + "]";
    };
    BOOST_TEST(parsed(body(list_of(64))).generation.sampling.stop_token_ids.size() == 64);
    refused(body(list_of(65)), errc::invalid_value, "stop_token_ids");
    BOOST_TEST(parsed(body(R"("stop_token_ids":[2147483647])")).generation.sampling.stop_token_ids[0] ==
               2147483647);
    for (const char* value : {"5", "\"5\"", "{}", "[-1]", "[2147483648]", "[18446744073709551615]", "[1.5]",
                              "[\"1\"]", "[null]", "[[1]]", "[true]"})
        refused(body(std::string("\"stop_token_ids\":") + value), errc::invalid_value, "stop_token_ids");
}

BOOST_AUTO_TEST_CASE(logit_bias_has_one_number_for_each_token) {
    const auto biases_of = [](std::size_t count) {
        std::string object;
        for (std::size_t i = 0; i < count; ++i)
            object += (i == 0 ? "{\"" : ",\"") + std::to_string(i) + "\":1";
        return "\"logit_bias\":" + object + "}";
    };
    BOOST_TEST(parsed(body(biases_of(300))).generation.sampling.logit_bias.size() == 300);
    refused(body(biases_of(301)), errc::invalid_value, "logit_bias");
    for (const char* value : {"{\"5\":-100}", "{\"5\":100.0}", "{\"5\":-0.0}", "{\"2147483647\":1}", "{}"})
        parsed(body(std::string("\"logit_bias\":") + value));
    for (const char* value : {"[1]",
                              "5",
                              "\"5\"",
                              "{\"5\":100.00000000000002}",
                              "{\"5\":-100.5}",
                              "{\"5\":1e308}",
                              "{\"5\":\"1\"}",
                              "{\"5\":null}",
                              "{\"5\":true}",
                              "{\"\":1}",
                              "{\"-1\":1}",
                              "{\"+1\":1}",
                              "{\" 1\":1}",
                              "{\"1 \":1}",
                              "{\"1.0\":1}",
                              "{\"1e2\":1}",
                              "{\"the\":1}",
                              "{\"2147483648\":1}",
                              "{\"1\":1,\"01\":2}",
                              "{\"00\":1}"})
        refused(body(std::string("\"logit_bias\":") + value), errc::invalid_value, "logit_bias");
    refused(body(R"("logit_bias":{"5":1,"5":2})"), errc::invalid_json, "5");
}

BOOST_AUTO_TEST_CASE(top_logprobs_needs_logprobs) {
    const auto asked = [](const std::string& fields) {
        return parsed(body(fields)).generation.sampling.num_logprobs;
    };
    BOOST_TEST(asked(R"("logprobs":true)") == 0);
    BOOST_TEST(asked(R"("logprobs":true,"top_logprobs":0)") == 0);
    BOOST_TEST(asked(R"("logprobs":true,"top_logprobs":20)") == 20);
    BOOST_TEST(asked(R"("logprobs":false)") == -1);
    for (const char* value :
         {"-1", "21", "2147483648", "9223372036854775808", "1e308", "1.5", "\"1\"", "true"})
        refused(body(std::string("\"logprobs\":true,\"top_logprobs\":") + value), errc::invalid_value,
                "top_logprobs");
    for (const char* fields : {R"("top_logprobs":1)", R"("logprobs":false,"top_logprobs":1)",
                               R"("logprobs":null,"top_logprobs":20)"})
        refused(body(fields), errc::invalid_value, "top_logprobs");
    for (const char* value : {"1", "\"true\"", "[]"})
        refused(body(std::string("\"logprobs\":") + value), errc::invalid_value, "logprobs");
}

BOOST_AUTO_TEST_CASE(engine_request_has_the_values_of_the_fields) {
    const auto fields =
        parsed(
            body(
                R"("min_p":0.125,"top_k":4,"repetition_penalty":1.5,"frequency_penalty":-1,"presence_penalty":2,
           "stop":"x","stop_token_ids":[99],"min_tokens":10,"ignore_eos":true,"logit_bias":{"99":1},"n":3,
           "logprobs":true,"top_logprobs":2,"priority":-3)"))
            .generation.sampling;
    const SamplingContext context{.vocab_size = 100,
                                  .max_choices = 3,
                                  .temperature = 0.5,
                                  .top_p = 0.25,
                                  .min_p = 0.5,
                                  .top_k = 7,
                                  .repetition_penalty = 1.25,
                                  .seed = 42};
    auto request = make_request(fields, context, 10).value();
    BOOST_TEST(request.max_tokens == 10);
    BOOST_TEST(request.num_choices == 3);
    BOOST_TEST(request.sampling.temperature == 0.5F);
    BOOST_TEST(request.sampling.top_p == 0.25F);
    BOOST_TEST(request.sampling.min_p == 0.125F);
    BOOST_TEST(request.sampling.top_k == 4);
    BOOST_TEST(request.sampling.repetition_penalty == 1.5F);
    BOOST_TEST(request.sampling.frequency_penalty == -1.0F);
    BOOST_TEST(request.sampling.presence_penalty == 2.0F);
    BOOST_TEST(request.sampling.num_logprobs == 2);
    BOOST_TEST(request.sampling.seed == 42);
    BOOST_TEST((request.stop == std::vector<std::string>{"x"}));
    BOOST_TEST((request.stop_token_ids == std::vector<TokenId>{99}));
    BOOST_TEST(request.min_tokens == 10);
    BOOST_TEST(request.ignore_eos);
    BOOST_REQUIRE(request.logit_bias.size() == 1);
    BOOST_TEST(request.logit_bias[0].token == 99);
    BOOST_TEST(request.priority == -3);

    // The values of the request come before those of the context, even if they change nothing.
    const auto named =
        parsed(body(R"("temperature":0,"top_p":1,"min_p":0,"top_k":-1,"repetition_penalty":1,"seed":7)"))
            .generation.sampling;
    request = make_request(named, context, 10).value();
    BOOST_TEST(request.sampling.temperature == 0);
    BOOST_TEST(request.sampling.top_p == 1);
    BOOST_TEST(request.sampling.min_p == 0);
    BOOST_TEST(request.sampling.top_k == 0);
    BOOST_TEST(request.sampling.repetition_penalty == 1);
    BOOST_TEST(request.sampling.seed == 7);
    for (const char* absent : {"", R"("min_p":null,"top_k":null,"repetition_penalty":null)"}) {
        request = make_request(parsed(body(absent)).generation.sampling, context, 10).value();
        BOOST_TEST(request.sampling.min_p == 0.5F);
        BOOST_TEST(request.sampling.top_k == 7);
        BOOST_TEST(request.sampling.repetition_penalty == 1.25F);
    }
    // Both values must be greater than 0, but 1e-300 becomes 0 if it is rounded to a float.
    const auto tiny = parsed(body(R"("top_p":1e-300,"repetition_penalty":1e-300)")).generation.sampling;
    request = make_request(tiny, context, 10).value();
    BOOST_TEST(request.sampling.top_p > 0);
    BOOST_TEST(request.sampling.repetition_penalty > 0);
}

BOOST_AUTO_TEST_CASE(limits_of_the_server_are_checked_before_the_engine) {
    const SamplingContext context{.vocab_size = 100, .max_choices = 3};
    for (const std::string text :
         {R"("n":4)", R"("stop_token_ids":[5,100])", R"("logit_bias":{"5":1,"100":1})"}) {
        const auto request = make_request(parsed(body(text)).generation.sampling, context, 10);
        BOOST_REQUIRE(!request);
        BOOST_TEST((request.error().code == errc::invalid_value), text);
        BOOST_TEST(request.error().param == text.substr(1, text.find('"', 1) - 1));
    }
}

BOOST_AUTO_TEST_CASE(errors_in_messages_name_their_place) {
    refused("{}", errc::invalid_value, "messages");
    refused(R"({"messages":[]})", errc::invalid_value, "messages");
    refused(R"({"messages":"hi"})", errc::invalid_value, "messages");
    refused(R"({"messages":[5]})", errc::invalid_value, "messages[0]");
    refused(R"({"messages":[{"role":"user","content":"a"},{"content":"b"}]})", errc::invalid_value,
            "messages[1].role");
    refused(R"({"messages":[{"role":"robot","content":"b"}]})", errc::invalid_value, "messages[0].role");
    refused(R"({"messages":[{"role":"user"}]})", errc::invalid_value, "messages[0].content");
    refused(R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})", errc::unsupported_input,
            "messages[0].content");
    refused(R"({"messages":[{"role":"user","content":[{"type":"text"}]}]})", errc::invalid_value,
            "messages[0].content");
    std::string many = R"({"messages":[)";
    for (int i = 0; i < 1025; ++i) many += std::string(i == 0 ? "" : ",") + R"({"role":"user","content":""})";
    refused(many + "]}", errc::invalid_value, "messages");
}

BOOST_AUTO_TEST_CASE(json_is_strict) {
    const auto refused_json = [](const std::string& text) {
        const auto value = parse_json(text);
        return !value && value.error().code == errc::invalid_json;
    };
    BOOST_TEST(refused_json(""));
    BOOST_TEST(refused_json("{"));
    BOOST_TEST(refused_json("{} x"));
    BOOST_TEST(refused_json(R"({"a":1,"a":2})"));
    BOOST_TEST(refused_json(R"({"b":{"a":1,"\u0061":2}})"));
    BOOST_TEST(refused_json("[1e400]"));
    BOOST_TEST(refused_json("[-1e400]"));
    BOOST_TEST(refused_json("[NaN]"));
    BOOST_TEST(refused_json("[\"\xff\"]"));
    BOOST_TEST(refused_json("[\"\xed\xa0\x80\"]"));
    const auto nested = [](int depth) {
        return std::string(static_cast<std::size_t>(depth), '[') +
               std::string(static_cast<std::size_t>(depth), ']');
    };
    BOOST_TEST(parse_json(nested(32)).has_value());
    BOOST_TEST(refused_json(nested(33)));
    BOOST_TEST(parse_json(R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})").has_value());
    refused("[]", errc::invalid_json, "");
}

BOOST_AUTO_TEST_CASE(written_json_reads_back_unchanged) {
    std::string awkward;
    for (char c = 1; c < 127; ++c) awkward += c;
    awkward += "\xc3\xa9\xed\x95\x9c\xf0\x9f\x98\x80\"\\/";
    std::string text;
    append_json_string(text, awkward);
    BOOST_TEST(std::string(boost::json::parse(text).get_string()) == awkward);

    std::string number;
    append_json_number(number, 0.7);
    BOOST_TEST(number == "0.7");
    number.clear();
    append_json_number(number, 0.7F);
    BOOST_TEST(number == "0.7");
}

BOOST_AUTO_TEST_CASE(chunks_have_role_once_finish_once_and_usage_last) {
    Answer answer;
    answer.add({.text = "a\n\"b"});
    answer.add({.text = "c", .finish = FinishReason::length});
    answer.add_usage({3, 2});
    const auto events = answer.events();
    BOOST_REQUIRE(events.size() == 4);
    const auto choice = [&](std::size_t i) { return events[i].at("choices").at(0).as_object(); };
    BOOST_TEST(choice(0).at("delta").at("role") == "assistant");
    BOOST_TEST(choice(0).at("delta").at("content") == "a\n\"b");
    BOOST_TEST(choice(0).at("logprobs").is_null());
    BOOST_TEST(!choice(1).at("delta").as_object().contains("role"));
    BOOST_TEST(choice(1).at("finish_reason").is_null());
    BOOST_TEST(choice(2).at("finish_reason") == "length");
    BOOST_TEST(choice(2).at("stop_reason").is_null());
    BOOST_TEST(choice(2).at("delta").as_object().empty());
    BOOST_TEST(events[3].at("choices").as_array().empty());
    BOOST_TEST(events[3].at("usage").at("total_tokens") == 5);
    BOOST_TEST(!events[2].contains("usage"));
}

BOOST_AUTO_TEST_CASE(every_chunk_has_usage_and_token_ids_if_requested) {
    Answer answer;
    answer.fields.continuous_usage = true;
    answer.fields.return_token_ids = true;
    answer.prompts = {{.text = {}, .token_ids = {1, 5}}};
    const std::vector<TokenId> ids{7, 8, 9};
    const std::span all(ids);
    answer.add({.text = "a", .num_tokens = 1, .token_ids = all.subspan(0, 1)}, {2, 1});
    answer.add({.num_tokens = 1, .token_ids = all.subspan(1, 1)}, {2, 2});  // a token without text yet
    answer.add({.text = "b", .num_tokens = 1, .finish = FinishReason::stop, .token_ids = all.subspan(2, 1)},
               {2, 3});
    const auto events = answer.events();
    BOOST_REQUIRE(events.size() == 4);
    const std::vector<const char*> expected{"[7]", "[8]", "[9]", "[]"};
    for (std::size_t i = 0; i < events.size(); ++i) {
        BOOST_TEST(events[i].at("choices").at(0).at("token_ids") == boost::json::parse(expected[i]));
        BOOST_TEST(events[i].at("usage").at("completion_tokens") == std::min<std::size_t>(i + 1, 3));
        BOOST_TEST(events[i].contains("prompt_token_ids") == (i == 0));
    }
    BOOST_TEST(events[0].at("prompt_token_ids") == boost::json::parse("[1,5]"));
}

BOOST_AUTO_TEST_CASE(empty_answer_still_has_a_role) {
    Answer answer;
    answer.add({});
    answer.add({.num_tokens = 1});  // a token without text yet
    BOOST_TEST(answer.out.empty());
    answer.add({.finish = FinishReason::stop});
    const auto events = answer.events();
    BOOST_REQUIRE(events.size() == 2);
    BOOST_TEST(events[0].at("choices").at(0).at("delta") ==
               boost::json::parse(R"({"role":"assistant","content":""})"));
}

BOOST_AUTO_TEST_CASE(each_choice_of_a_stream_has_its_index_role_and_end) {
    Answer answer;
    answer.fields.sampling.stop = {"one", "two"};
    answer.add({.output = 0, .num_tokens = 1});  // a token without text yet
    answer.add({.output = 1, .text = "x"});
    answer.add({.output = 0, .text = "y"});
    answer.add({.output = 1, .text = "z", .finish = FinishReason::stop, .stop = {.index = 1}});
    answer.add({.output = 0, .finish = FinishReason::stop, .stop = {.token = 77}});
    const auto events = answer.events();
    BOOST_REQUIRE(events.size() == 6);
    const auto is = [&](std::size_t i, const char* expected) {
        BOOST_TEST(events[i].at("choices").at(0) == boost::json::parse(expected));
    };
    // Choice 0 begins before choice 1, although the first token of choice 0 has no text yet.
    is(0, R"({"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null})");
    is(1, R"({"index":1,"delta":{"role":"assistant","content":"x"},"logprobs":null,"finish_reason":null})");
    is(2, R"({"index":0,"delta":{"content":"y"},"logprobs":null,"finish_reason":null})");
    is(3, R"({"index":1,"delta":{"content":"z"},"logprobs":null,"finish_reason":null})");
    is(4, R"({"index":1,"delta":{},"logprobs":null,"finish_reason":"stop","stop_reason":"two"})");
    is(5, R"({"index":0,"delta":{},"logprobs":null,"finish_reason":"stop","stop_reason":77})");
}

BOOST_AUTO_TEST_CASE(logprobs_of_a_stream_come_once_in_order_and_no_later_than_the_end) {
    Answer answer;
    answer.fields.sampling.num_logprobs = 0;
    const std::vector<TokenLogprob> logprobs{{300, -1}, {301, -2}, {302, -3}, {303, -4}};
    const std::span all(logprobs);
    answer.add({.text = "a", .logprobs = all.subspan(0, 1)});
    answer.add({.logprobs = all.subspan(1, 1)});  // a token without text yet
    answer.add({.text = "b", .finish = FinishReason::stop, .logprobs = all.subspan(2, 1)});
    answer.add({.output = 1, .text = "c", .logprobs = all.subspan(0, 1)});
    answer.add({.output = 1, .finish = FinishReason::stop, .logprobs = all.subspan(3, 1)});
    answer.add({.output = 2, .finish = FinishReason::stop, .logprobs = all.subspan(3, 1)});
    std::vector<std::string> seen;
    for (const auto& event : answer.events()) {
        const auto& choice = event.at("choices").at(0).as_object();
        std::string line = std::to_string(choice.at("index").to_number<int>()) + " " +
                           boost::json::serialize(choice.at("delta"));
        if (const auto* list = choice.at("logprobs").if_object())
            for (const auto& entry : list->at("content").as_array())
                line += " " + std::to_string(entry.at("logprob").to_number<int>());
        seen.push_back(line);
    }
    const std::vector<std::string> expected{
        R"(0 {"role":"assistant","content":""})",
        R"(0 {"content":"a"} -1)",
        R"(0 {"content":""} -2)",
        R"(0 {"content":"b"} -3)",
        R"(0 {})",
        R"(1 {"role":"assistant","content":""})",
        R"(1 {"content":"c"} -1)",
        R"(1 {} -4)",
        R"(2 {"role":"assistant","content":""})",
        R"(2 {} -4)",
    };
    BOOST_TEST(seen == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(whole_answer_contains_all_choices_in_order) {
    Answer answer;
    answer.fields.sampling.stop = {"\""};
    answer.fields.sampling.num_choices = 3;
    const std::vector<LogDelta> choices{
        {.output = 0, .text = "a", .finish = FinishReason::length},
        {.output = 1, .text = "\n", .finish = FinishReason::stop, .stop = {.index = 0}},
        {.output = 2, .finish = FinishReason::stop, .stop = {.token = 9}}};
    const auto whole =
        boost::json::parse(rendered(ChatAnswerWriter(answer.context()).whole(choices, {3, 6, 2})));
    BOOST_TEST(whole.at("choices") == boost::json::parse(R"([
        {"index":0,"message":{"role":"assistant","content":"a","refusal":null},"logprobs":null,
         "finish_reason":"length","stop_reason":null},
        {"index":1,"message":{"role":"assistant","content":"\n","refusal":null},"logprobs":null,
         "finish_reason":"stop","stop_reason":"\""},
        {"index":2,"message":{"role":"assistant","content":"","refusal":null},"logprobs":null,
         "finish_reason":"stop","stop_reason":9}])"));
    BOOST_TEST(whole.at("usage").at("completion_tokens") == 6);
    BOOST_TEST(whole.at("usage").at("total_tokens") == 9);
}

BOOST_AUTO_TEST_CASE(logprobs_are_written_as_openai_writes_them) {
    const auto written = [](std::span<const TokenLogprob> logprobs, std::int32_t num_alternatives) {
        std::string out;
        append_chat_logprobs(out, TokenTexts{demo_tokenizer()}, logprobs, num_alternatives);
        return out;
    };
    const TokenId piece = demo_tokenizer().encode("the", {}).value().back();
    const TokenId byte = byte_token(0xed);
    const auto bytes = std::string(demo_tokenizer().bytes_of(piece));
    const float lowest = std::numeric_limits<float>::lowest();
    const std::vector<TokenLogprob> logprobs{{piece, -0.1F}, {piece, -0.1F}, {byte, -1e-6F},
                                             {byte, 0.0F},   {byte, 0.0F},   {2, lowest}};
    const auto value = boost::json::parse(written(logprobs, 2)).as_object();
    BOOST_TEST(value.at("refusal").is_null());
    const auto& content = value.at("content").as_array();
    BOOST_REQUIRE(content.size() == 2);
    const auto& first = content[0].as_object();
    BOOST_TEST(first.at("token") == boost::json::value(bytes));
    BOOST_TEST(static_cast<float>(first.at("logprob").as_double()) == -0.1F);
    BOOST_TEST(first.at("bytes").as_array().size() == bytes.size());
    BOOST_TEST(first.at("bytes").at(0).to_number<int>() == static_cast<unsigned char>(bytes[0]));
    BOOST_REQUIRE(first.at("top_logprobs").as_array().size() == 2);
    BOOST_TEST(first.at("top_logprobs").at(1) ==
               boost::json::parse(R"({"token":"\ufffd","logprob":-1e-6,"bytes":[237]})"));
    BOOST_TEST(content[1].at("logprob").to_number<double>() == 0);
    // A control token has a name and no text. JSON has no minus infinity, so -9999 stands for it.
    BOOST_TEST(content[1].at("top_logprobs").at(1) ==
               boost::json::parse(R"({"token":"</s>","logprob":-9999,"bytes":[]})"));

    BOOST_TEST(written({}, -1) == "null");
    BOOST_TEST(written(std::span(logprobs).first(1), 0).find(R"("top_logprobs":[]})") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(errors_have_the_documented_status_type_and_code) {
    const auto row = [](errc code) {
        const auto& info = error_info(code);
        return std::to_string(info.status) + " " + std::string(info.type) + " " + std::string(info.name) +
               (info.retry_after ? " retry" : "");
    };
    BOOST_TEST(row(errc::invalid_json) == "400 invalid_request_error invalid_json");
    BOOST_TEST(row(errc::context_length_exceeded) == "400 invalid_request_error context_length_exceeded");
    BOOST_TEST(row(errc::invalid_api_key) == "401 authentication_error invalid_api_key");
    BOOST_TEST(row(errc::host_not_allowed) == "403 permission_error host_not_allowed");
    BOOST_TEST(row(errc::model_not_found) == "404 invalid_request_error model_not_found");
    BOOST_TEST(row(errc::method_not_allowed) == "405 invalid_request_error method_not_allowed");
    BOOST_TEST(row(errc::lane_busy) == "409 invalid_request_error lane_busy");
    BOOST_TEST(row(errc::response_expired) == "410 invalid_request_error response_expired");
    BOOST_TEST(row(errc::payload_too_large) == "413 invalid_request_error payload_too_large");
    BOOST_TEST(row(errc::unsupported_media_type) == "415 invalid_request_error unsupported_media_type");
    BOOST_TEST(row(errc::upgrade_required) == "426 invalid_request_error upgrade_required");
    BOOST_TEST(row(errc::rate_limit_exceeded) == "429 rate_limit_error rate_limit_exceeded retry");
    BOOST_TEST(row(errc::headers_too_large) == "431 invalid_request_error headers_too_large");
    BOOST_TEST(row(errc::request_cancelled) == "499 invalid_request_error request_cancelled");
    BOOST_TEST(row(errc::numerical_error) == "500 server_error numerical_error");
    BOOST_TEST(row(errc::server_overloaded) == "503 server_error server_overloaded retry");
    BOOST_TEST(row(errc::engine_unavailable) == "503 server_error engine_unavailable retry");
    BOOST_TEST(row(errc::bad_model) == "500 server_error server_error");

    const auto object = boost::json::parse(error_body({errc::invalid_value, "a \"b\"", "top_p"})).as_object();
    const auto& error = object.at("error").as_object();
    BOOST_TEST(error.at("object") == "error");
    BOOST_TEST(error.at("message") == "a \"b\"");
    BOOST_TEST(error.at("param") == "top_p");
    BOOST_TEST(boost::json::parse(error_body({errc::not_found, "x"})).at("error").at("param").is_null());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
