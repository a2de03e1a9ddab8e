// Tries every line of peer_fields.tsv on the parsers of the request bodies, so that a line that is added
// later is tested too.
#include "server/api/peer_fields.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/test/unit_test.hpp>
#include <random>
#include <set>
#include <sstream>

#include "server/api/chat_completions.hpp"
#include "server/api/completions.hpp"
#include "server/api/responses.hpp"
#include "server/api/tokenize.hpp"

namespace solard::server {

namespace {

namespace json = boost::json;

struct Line {
    std::string name, kind, handling;
    json::array neutral;
};

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
    return parts;
}

// Returns one Line for each kind of body of each line of the table.
std::vector<Line> lines() {
    std::vector<Line> lines;
    const auto rows = split(std::string(peer_fields_text()), '\n');
    for (std::size_t i = 1; i < rows.size(); ++i) {
        const auto columns = split(rows[i], '\t');
        BOOST_REQUIRE_MESSAGE(columns.size() == 6, rows[i]);
        for (const std::string& kind : split(columns[1], ' '))
            lines.push_back({columns[0], kind, columns[3], json::parse("[" + columns[4] + "]").as_array()});
    }
    return lines;
}

// Returns the parser's error for the body, or nullopt if it accepts the body.
std::optional<Error> error_of(const std::string& kind, const json::object& object,
                              UnknownFields unknown = UnknownFields::refused) {
    const std::string body = json::serialize(object);
    const auto problem = [](const auto& request) {
        return request ? std::nullopt : std::optional<Error>(request.error());
    };
    if (kind == "chat") return problem(parse_chat_request(body, unknown));
    if (kind == "completions") return problem(parse_completion_request(body, unknown));
    if (kind == "responses") return problem(parse_response_request(body, unknown));
    if (kind == "tokenize") return problem(parse_tokenize_request(body, unknown));
    if (kind == "detokenize") return problem(parse_detokenize_request(body, unknown, 1000));
    throw std::invalid_argument("unknown kind of body: " + kind);
}

// Returns a valid body in which the field has the value. A field within an object becomes the object's only
// member, and a field of a message belongs to an assistant's message.
json::object body_with(const Line& line, const json::value& value) {
    json::object message{{"role", "assistant"}, {"content", "Hi"}};
    const std::string in_message = line.kind == "responses" ? "input[]." : "messages[].";
    const bool is_in_message = line.name.starts_with(in_message);
    const std::string in_part = in_message + "content[].";
    if (line.name.starts_with(in_part)) {
        const json::object part{{"type", "text"}, {"text", "Hi"}, {line.name.substr(in_part.size()), value}};
        message["content"] = json::array{part};
    } else if (is_in_message) {
        message[line.name.substr(in_message.size())] = value;
    }
    json::object body;
    if (line.kind == "chat") body = {{"messages", json::array{message}}};
    if (line.kind == "completions") body = {{"prompt", "Hi"}};
    if (line.kind == "responses") body = {{"input", json::array{message}}};
    if (line.kind == "tokenize") body = {{"prompt", "Hi"}};
    const std::set<std::string> of_messages{"messages",   "add_generation_prompt", "continue_final_message",
                                            "documents",  "chat_template_kwargs",  "tools",
                                            "tool_choice"};
    if (line.kind == "tokenize" && of_messages.contains(line.name))
        body = {{"messages", json::array{message}}};
    if (line.kind == "detokenize") body = {{"tokens", json::array{1}}};
    const auto dot = line.name.find('.');
    if (is_in_message) return body;
    if (line.name.starts_with("stream_options")) body["stream"] = true;
    // The names of llama.cpp's speculative fields have a dot although they are no members.
    if (dot == std::string::npos || line.name.starts_with("speculative.")) {
        body[line.name] = value;
    } else {
        body[line.name.substr(0, dot)] = json::object{{line.name.substr(dot + 1), value}};
    }
    return body;
}

bool is_of_a_part(const Line& line) {
    return line.name.find("content[]") != std::string::npos;
}

std::string place(const Line& line) {
    std::string place = line.name;
    for (auto brackets = place.find("[]"); brackets != std::string::npos; brackets = place.find("[]"))
        place.insert(brackets + 1, "0");
    return place;
}

bool has_lines_for_members(const Line& line) {
    return std::ranges::any_of(lines(),
                               [&](const Line& other) { return other.name.starts_with(line.name + "."); });
}

std::string describe(const Line& line, const json::value& value, const std::optional<Error>& error) {
    return line.kind + " " + line.name + " = " + json::serialize(value) + ": " +
           (error ? error->message : "accepted");
}

void accepts(const Line& line, const json::value& value) {
    const auto error = error_of(line.kind, body_with(line, value));
    BOOST_TEST(!error.has_value(), describe(line, value, error));
}

// `code` is the expected error code.
void refuses(const Line& line, const json::value& value, errc code) {
    const auto error = error_of(line.kind, body_with(line, value), UnknownFields::ignored);
    BOOST_REQUIRE_MESSAGE(error.has_value(), describe(line, value, error));
    BOOST_TEST((error->code == code), describe(line, value, error));
    BOOST_TEST(error->param.starts_with(place(line)), describe(line, value, error));
    const std::string object = place(line).substr(0, place(line).rfind(']') + 1);
    const std::string shown = object.empty() ? place(line) : object;
    BOOST_TEST(error->message.find(shown) != std::string::npos, describe(line, value, error));
}

// Values of every kind, and values which many fields of peers have.
const json::array values{true,
                         false,
                         0,
                         1,
                         -1,
                         0.5,
                         "",
                         "none",
                         "x",
                         json::array{},
                         json::array{"x"},
                         json::object{},
                         json::object{{"x", 1}}};

bool contains(const json::array& array, const json::value& value) {
    return std::ranges::any_of(array, [&](const auto& one) {
        return one == value || (one.is_number() && value.is_number() &&
                                one.template to_number<double>() == value.template to_number<double>());
    });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(peer_fields)

BOOST_AUTO_TEST_CASE(table_is_sorted_and_has_one_line_for_each_field_and_kind_of_body) {
    const auto all = lines();
    BOOST_TEST(all.size() > 600);
    std::set<std::pair<std::string, std::string>> seen;
    for (const Line& line : all) {
        BOOST_TEST(seen.insert({line.name, line.kind}).second, line.name << " " << line.kind);
        BOOST_TEST((line.handling == "neutral" || line.neutral.empty()), line.name);
        const std::set<std::string> known{"served", "neutral", "ignored", "refused"};
        BOOST_TEST(known.contains(line.handling), line.name);
    }
    BOOST_TEST(std::ranges::is_sorted(all, {}, &Line::name));
}

BOOST_AUTO_TEST_CASE(null_is_accepted_for_every_field_that_is_not_required) {
    const std::set<std::string> required{"messages", "prompt",          "tokens",      "input",
                                         "content",  "messages[].role", "input[].role"};
    for (const Line& line : lines()) {
        const bool is_text_of_a_part = is_of_a_part(line) && line.handling == "served";
        if (!required.contains(line.name) && !is_text_of_a_part) accepts(line, nullptr);
    }
}

BOOST_AUTO_TEST_CASE(neutral_fields_accept_exactly_their_neutral_values) {
    for (const Line& line : lines()) {
        if (line.handling != "neutral") continue;
        for (const auto& value : line.neutral) accepts(line, value);
        for (const auto& value : values) {
            const bool is_empty_object = value.is_object() && value.get_object().empty();
            if (is_empty_object && has_lines_for_members(line)) continue;
            if (!contains(line.neutral, value)) refuses(line, value, errc::unsupported_parameter);
        }
    }
}

BOOST_AUTO_TEST_CASE(ignored_fields_accept_every_value) {
    const std::set<std::string> limited{"user"};  // at most 256 bytes
    for (const Line& line : lines()) {
        if (line.handling != "ignored" || limited.contains(line.name)) continue;
        for (const auto& value : values) accepts(line, value);
    }
}

BOOST_AUTO_TEST_CASE(refused_fields_accept_only_null) {
    for (const Line& line : lines()) {
        if (line.handling != "refused" || line.name == "content") continue;
        for (const auto& value : values) refuses(line, value, errc::unsupported_parameter);
    }
}

// No field takes a list of lists of lists.
BOOST_AUTO_TEST_CASE(served_fields_are_read) {
    const std::set<std::string> of_sockets{"type", "stream_id"};
    const json::value wrong = json::parse("[[[]]]");
    for (const Line& line : lines()) {
        if (line.handling != "served" || of_sockets.contains(line.name) || is_of_a_part(line)) continue;
        if (line.name == "messages[].refusal") continue;  // is read only if there is no content
        const bool is_item_type = line.name == "input[].type";
        refuses(line, wrong, is_item_type ? errc::unsupported_input : errc::invalid_value);
    }
}

// Each body has several fields of the table, and is refused if and only if one of their values must be
// refused.
BOOST_AUTO_TEST_CASE(random_bodies_are_judged_as_the_table_says) {
    const auto all = lines();
    std::mt19937 random(1);
    const auto below = [&](std::size_t end) {
        return std::uniform_int_distribution<std::size_t>(0, end - 1)(random);
    };
    int num_refused = 0;
    for (int i = 0; i < 1000; ++i) {
        const std::string kind = all[below(all.size())].kind;
        json::object body = body_with({"model", kind, "", {}}, nullptr);
        std::set<std::string> refused;
        // Some kinds of body have few fields.
        std::size_t left = 1 + below(6);
        for (int tries = 0; left > 0 && tries < 1000; ++tries) {
            const Line& line = all[below(all.size())];
            const bool is_plain = line.name.find_first_of(".[") == std::string::npos;
            if (line.kind != kind || line.handling == "served" || !is_plain || body.contains(line.name))
                continue;
            --left;
            const bool may_pass = line.handling != "refused" && below(4) > 0;
            json::value value = nullptr;
            if (line.handling == "neutral" && may_pass && !line.neutral.empty())
                value = line.neutral[below(line.neutral.size())];
            if (line.handling == "ignored" || (line.handling != "served" && !may_pass))
                value = values[below(values.size())];
            const bool passes =
                value.is_null() || line.handling == "ignored" || contains(line.neutral, value);
            if (line.name == "user") value = "u";
            if (!passes) refused.insert(line.name);
            body[line.name] = value;
        }
        // A request without any choice of a tool may have tools.
        if (body.contains("tool_choice") && body["tool_choice"] == "none") refused.erase("tools");
        if (body.contains("function_call") && body["function_call"] == "none") refused.erase("functions");
        const auto error = error_of(kind, body);
        const std::string text = kind + " " + json::serialize(body);
        BOOST_TEST(error.has_value() == !refused.empty(),
                   text << ": " << (error ? error->message : "accepted"));
        if (!error) continue;
        ++num_refused;
        BOOST_TEST(refused.contains(error->param.substr(0, error->param.find('.'))),
                   text << ": " << error->message);
    }
    BOOST_TEST(num_refused > 200);
    BOOST_TEST(num_refused < 900);
}

// This list does not come from the table, so it fails if a line of the table is lost or wrong.
BOOST_AUTO_TEST_CASE(fields_that_would_change_the_answer_are_refused_on_every_route) {
    const std::vector<std::pair<std::string, json::value>> fields{
        {"mirostat", 2},
        {"dry_multiplier", 0.8},
        {"xtc_probability", 0.5},
        {"typical_p", 0.5},
        {"top_a", 0.2},
        {"n_probs", 5},
        {"lora", json::array{json::object{{"id", 0}}}},
        {"lora_request", json::object{{"name", "x"}}},
        {"lora_path", "x"},
        {"custom_logit_processor", "x"},
        {"allowed_token_ids", json::array{1}},
        {"bad_words", json::array{"x"}},
        {"logits_processors", json::array{"x"}},
        {"use_beam_search", true},
        {"truncate_prompt_tokens", 5},
        {"reasoning", json::object{{"effort", "high"}}},
        {"modalities", json::array{"audio"}},
        {"verbosity", "high"},
        {"web_search_options", json::object{}},
        {"functions", json::array{json::object{{"name", "f"}}}},
        {"nvext", json::object{{"guided_json", json::object{{"type", "object"}}}}},
        {"chat_template", "{{ messages }}"}};
    for (const std::string kind : {"chat", "completions", "responses"}) {
        for (const auto& [name, value] : fields)
            refuses({name, kind, "", {}}, value, errc::unsupported_parameter);
    }
    for (const std::string kind : {"completions", "responses"})
        refuses({"documents", kind, "", {}}, json::array{json::object{{"text", "x"}}},
                errc::unsupported_parameter);
    refuses({"max_output_tokens", "chat", "", {}}, 5, errc::unsupported_parameter);
    refuses({"max_tokens", "responses", "", {}}, 5, errc::unsupported_parameter);
}

BOOST_AUTO_TEST_CASE(fields_that_ask_for_what_happens_anyway_are_accepted_on_every_route) {
    const std::vector<std::pair<std::string, json::value>> fields{
        {"modalities", json::array{"text"}},
        {"verbosity", "medium"},
        {"function_call", "none"},
        {"chat_template_kwargs", json::object{{"enable_thinking", false}}},
        {"chat_template_kwargs", json::object{{"thinking", false}}},
        {"timings_per_token", true},
        {"return_progress", true}};
    for (const std::string kind : {"chat", "completions", "responses"})
        for (const auto& [name, value] : fields) accepts({name, kind, "", {}}, value);
}

BOOST_AUTO_TEST_CASE(unknown_fields_pass_unless_they_are_to_be_refused) {
    for (const std::string kind : {"chat", "completions", "responses", "tokenize", "detokenize"}) {
        const Line line{"no_such_field", kind, "", {}};
        const auto body = body_with(line, 1);
        BOOST_TEST(!error_of(kind, body, UnknownFields::ignored).has_value());
        BOOST_TEST(error_of(kind, body, UnknownFields::refused).value().param == "no_such_field");
    }
}

BOOST_AUTO_TEST_CASE(tools_without_a_choice_and_candidates_without_a_choice_change_nothing) {
    const auto accepted = [](const std::string& kind, const std::string& text) {
        const auto error = error_of(kind, json::parse(text).as_object());
        BOOST_TEST(!error.has_value(), text << ": " << (error ? error->message : ""));
    };
    const std::string messages = R"({"messages":[{"role":"user","content":"Hi"}],)";
    accepted("chat", messages + R"("tools":[{"type":"function"}],"tool_choice":"none"})");
    accepted("chat", messages + R"("functions":[{"name":"f"}],"function_call":"none"})");
    accepted("responses", R"({"input":"Hi","tools":[{"type":"function"}],"tool_choice":"none"})");
    accepted("tokenize", messages + R"("tools":[{"type":"function"}],"tool_choice":"none"})");
    accepted("completions", R"({"prompt":"Hi","tools":[{"type":"function"}],"tool_choice":"none"})");
    accepted("completions", R"({"prompt":"Hi","n":2,"best_of":2})");
    BOOST_TEST(error_of("completions", json::parse(R"({"prompt":"Hi","n":2,"best_of":3})").as_object())
                   .value()
                   .param == "best_of");
}

BOOST_AUTO_TEST_CASE(members_of_an_object_are_judged_one_by_one) {
    const auto error = [](const std::string& fields) {
        return error_of(
            "chat",
            json::parse(R"({"messages":[{"role":"user","content":"Hi"}],)" + fields + "}").as_object());
    };
    BOOST_TEST(!error(R"("nvext":{"top_k":0,"ignore_eos":false,"annotations":[]})").has_value());
    BOOST_TEST(error(R"("nvext":{"top_k":0,"ignore_eos":true})").value().param == "nvext.ignore_eos");
    BOOST_TEST(error(R"("nvext":{"no_such_member":1})").value().param == "nvext.no_such_member");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
