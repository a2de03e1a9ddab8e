// Compares with the token ids and texts that the library tokenizers has for the families in tests/tokenizers.
#include <algorithm>
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>

#include "inference/model/chat_template.hpp"
#include "inference/model/tokenizer.hpp"
#include "inference/text/detokenizer.hpp"
#include "tests/support/check_refused.hpp"
#include "tests/support/model_folder.hpp"

namespace solard {
namespace {

namespace json = boost::json;

constexpr EncodeOptions text_only{.add_special_tokens = false, .parse_special = false};
constexpr EncodeOptions as_transformers{.add_special_tokens = true, .parse_special = true};

std::filesystem::path data() {
    return std::filesystem::path(SOLARD_SOURCE_DIR) / "tests/tokenizers/data";
}

json::value read(const std::filesystem::path& path) {
    std::ifstream file(path);
    return json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
}

std::vector<TokenId> ids_in(const json::value& list) {
    return json::value_to<std::vector<TokenId>>(list);
}

std::string shown(const std::vector<TokenId>& ids) {
    return json::serialize(json::value_from(ids));
}

// Returns the text to which the tokens are decoded, one at a time.
std::string decoded_by_token(const Tokenizer& tokenizer, const std::vector<TokenId>& ids, bool skip) {
    std::string text;
    Detokenizer detokenizer;
    for (const TokenId id : ids) detokenizer.append(tokenizer.bytes_of(id, skip), text);
    detokenizer.flush(text);
    return text;
}

void check_texts(const Tokenizer& tokenizer, const json::array& texts, const json::array& ids,
                 const json::array& decoded, EncodeOptions options) {
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto text = json::value_to<std::string>(texts[i]);
        const auto expected = ids_in(ids[i]);
        const auto encoded = tokenizer.encode(text, options);
        require_accepted(encoded);
        BOOST_TEST(*encoded == expected, json::serialize(texts[i]) << " is " << shown(*encoded)
                                                                   << ", expected " << shown(expected));
        const auto whole = decoded[i].is_null() ? text : json::value_to<std::string>(decoded[i]);
        const bool skip = !options.parse_special;
        BOOST_TEST(tokenizer.decode(expected, skip) == whole);
        // A space before the text is not the text's own.
        const std::string by_token = decoded_by_token(tokenizer, expected, skip);
        BOOST_TEST((by_token == whole || by_token == " " + whole), by_token);
    }
}

BOOST_AUTO_TEST_SUITE(golden_tokenizers)

BOOST_AUTO_TEST_CASE(every_family_has_the_ids_and_texts_of_the_library_tokenizers) {
    const json::value expected = read(data() / "expected.json");
    const auto& texts = expected.at("texts").as_array();
    BOOST_TEST(texts.size() == 200U);
    BOOST_TEST(expected.at("families").as_object().size() == 8U);
    for (const auto& [name, family] : expected.at("families").as_object()) {
        BOOST_TEST_CONTEXT(std::string_view(name)) {
            const auto tokenizer = Tokenizer::load(data() / std::string(name), 800);
            require_accepted(tokenizer);
            check_texts(*tokenizer, texts, family.at("ids").as_array(), family.at("decoded").as_array(),
                        text_only);
            check_texts(*tokenizer, family.at("special_texts").as_array(),
                        family.at("special_ids").as_array(), family.at("special_decoded").as_array(),
                        as_transformers);
        }
    }
}

BOOST_AUTO_TEST_CASE(conversations_have_the_prompts_and_ids_of_transformers) {
    const json::value expected = read(data() / "expected_prompts.json");
    std::vector<std::vector<ChatMessage>> conversations;
    for (const auto& conversation : expected.at("conversations").as_array()) {
        auto& messages = conversations.emplace_back();
        for (const auto& message : conversation.as_array()) {
            const auto& role = message.at("role").as_string();
            messages.push_back({role == "user"     ? Role::user
                                : role == "system" ? Role::system
                                                   : Role::assistant,
                                json::value_to<std::string>(message.at("content"))});
        }
    }
    BOOST_TEST(conversations.size() == 40U);
    BOOST_TEST(expected.at("templates").as_object().size() == 7U);
    for (const auto& [name, rendered] : expected.at("templates").as_object()) {
        const auto folder = data() / json::value_to<std::string>(rendered.at("family"));
        const auto tokenizer = Tokenizer::load(folder, 800);
        const auto chat_template = ChatTemplate::load(folder, std::string(name));
        require_accepted(tokenizer);
        require_accepted(chat_template);
        for (std::size_t i = 0; i < conversations.size(); ++i) {
            BOOST_TEST_CONTEXT(std::string_view(name) << ", conversation " << i) {
                const auto prompt = chat_template->render(conversations[i]);
                require_accepted(prompt);
                BOOST_TEST(prompt->bytes() == json::value_to<std::string>(rendered.at("prompts").at(i)));
                const auto ids = tokenizer->encode_chat(*prompt, false);
                require_accepted(ids);
                BOOST_TEST(*ids == ids_in(rendered.at("ids").at(i)), boost::test_tools::per_element());
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(added_tokens_beside_a_tokenizer_model_have_the_ids_of_transformers) {
    const json::value expected = read(data() / "expected_sentencepiece.json");
    const ModelFolder modern;
    for (const auto* name : {"tokenizer.model", "added_tokens.json", "special_tokens_map.json"})
        std::filesystem::copy_file(data() / "sentencepiece" / name, modern.path() / name);
    modern.write_text("tokenizer_config.json", R"({"legacy": false})");
    for (const auto& [folder, key] :
         {std::pair(data() / "sentencepiece", "ids"), std::pair(modern.path(), "ids_without_legacy")}) {
        const auto tokenizer = Tokenizer::load(folder, 800);
        require_accepted(tokenizer);
        const auto& texts = expected.at("texts").as_array();
        const auto& ids = expected.at(key).as_array();
        for (std::size_t i = 0; i < texts.size(); ++i) {
            const auto encoded = tokenizer->encode(json::value_to<std::string>(texts[i]), as_transformers);
            require_accepted(encoded);
            BOOST_TEST(*encoded == ids_in(ids[i]), key << " of " << json::serialize(texts[i]) << " are "
                                                       << shown(*encoded) << ", expected " << ids[i]);
        }
    }
}

BOOST_AUTO_TEST_CASE(demonstration_model_has_the_same_ids_with_a_converted_tokenizer_json) {
    const auto original = Tokenizer::load(SOLARD_SOURCE_DIR "/config/demo-model", 1 << 20);
    const auto converted = Tokenizer::load(data() / "demo", 2048);
    require_accepted(original);
    require_accepted(converted);
    const json::value expected = read(data() / "expected.json");
    for (const auto& text : expected.at("texts").as_array()) {
        const auto source = json::value_to<std::string>(text);
        const auto ids = original->encode(source, {}).value();
        BOOST_TEST(converted->encode(source, {}).value() == ids, json::serialize(text));
        BOOST_TEST(converted->decode(ids) == original->decode(ids), json::serialize(text));
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard
