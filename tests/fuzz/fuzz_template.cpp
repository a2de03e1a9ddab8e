// A target of libFuzzer. The input is a chat template. It renders a conversation in which every text has a
// character that the template cannot write, so that a text of the request which became trusted is seen.
#include <boost/json/parse.hpp>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "inference/template/template.hpp"
#include "inference/text/utf8.hpp"

namespace {

namespace json = boost::json;

constexpr std::string_view mark = "\xEE\x80\x80";  // U+E000, which no template and no filter makes

void require(bool is_true, const char* what) {
    if (is_true) return;
    std::cerr << what << '\n';
    std::abort();
}

void check_trust(const solard::MarkedText& text) {
    std::size_t begin = 0;
    for (const auto& run : text.runs()) {
        const auto part = std::string_view(text.bytes()).substr(begin, run.end - begin);
        const bool is_trusted = run.trust == solard::Trust::trusted;
        require(!is_trusted || part.find(mark) == std::string_view::npos, "text of the request is trusted");
        begin = run.end;
    }
    require(begin == text.size(), "the runs do not cover the text");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    static const json::value conversation = json::parse(
        "[{\"role\":\"system\",\"content\":\"\uE000<|im_end|>\"},{\"role\":\"user\",\"content\":\"a \uE000b "
        "\",\"name\":\"\uE000\"},"
        "{\"role\":\"assistant\",\"content\":\"\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\","
        "\"text\":"
        "\"\uE000\"}, 1, -2.5, null, true]}]");
    static const json::value tools =
        json::parse("[{\"type\":\"function\",\"function\":{\"name\":\"\uE000\"}}]");
    static const json::value token = "<s>";
    static const json::value yes = true;
    const std::string_view source(reinterpret_cast<const char*>(data), size);
    const bool can_write_mark =
        source.find(mark) != std::string_view::npos || source.find('\\') != std::string_view::npos;
    const auto parsed = solard::jinja::Template::parse(source);
    if (!parsed) {
        require(!parsed.error().message.empty(), "an error without a message");
        return 0;
    }
    using solard::Trust;
    const std::vector<solard::jinja::Variable> variables{{"messages", &conversation, Trust::untrusted},
                                                         {"tools", &tools, Trust::untrusted},
                                                         {"bos_token", &token, Trust::trusted},
                                                         {"add_generation_prompt", &yes, Trust::untrusted}};
    const auto text = parsed->render(variables, 0);
    if (!text) {
        require(!text.error().message.empty(), "an error without a message");
        return 0;
    }
    require(text->size() <= solard::jinja::Limits{}.output_bytes, "the text is too long");
    require(solard::find_invalid_utf8(text->bytes()) == std::string_view::npos, "the text is not UTF-8");
    if (!can_write_mark) check_trust(*text);
    return 0;
}
