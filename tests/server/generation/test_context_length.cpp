#include "server/generation/context_length.hpp"

#include <boost/test/unit_test.hpp>
#include <initializer_list>
#include <string_view>

namespace solard::server {
namespace {

ModelConfig model(std::int32_t max_position_embeddings, const RopeScaling& scaling = {}) {
    ModelConfig config;
    config.max_position_embeddings = max_position_embeddings;
    config.rope_scaling = scaling;
    return config;
}

ModelConfig model_with_window(std::int32_t max_position_embeddings, std::int32_t window) {
    ModelConfig config = model(max_position_embeddings);
    config.sliding_window = window;
    return config;
}

void refused(std::int64_t max_model_len, const ModelConfig& config,
             std::initializer_list<std::string_view> parts) {
    const auto length = choose_context_length(max_model_len, config);
    BOOST_REQUIRE(length.has_error());
    BOOST_TEST((length.error().code == errc::bad_configuration));
    for (const std::string_view part : parts)
        BOOST_TEST(length.error().message.find(part) != std::string::npos,
                   part << " is not in: " << length.error().message);
}

constexpr RopeScaling dynamic{.type = RopeScaling::Type::dynamic, .factor = 4};

}  // namespace

BOOST_AUTO_TEST_SUITE(context_length)

BOOST_AUTO_TEST_CASE(context_is_the_models_own_or_a_shorter_one) {
    for (const RopeScaling::Type type : {RopeScaling::Type::none, RopeScaling::Type::llama3}) {
        const ModelConfig config = model(4096, {.type = type, .factor = 8});
        BOOST_TEST(choose_context_length(0, config).value() == 4096);
        BOOST_TEST(choose_context_length(1, config).value() == 1);
        BOOST_TEST(choose_context_length(4096, config).value() == 4096);
        refused(4097, config,
                {"--max-model-len is 4097", "max_position_embeddings", "--max-model-len to at most 4096"});
    }
}

BOOST_AUTO_TEST_CASE(sliding_window_must_not_be_shorter_than_the_context) {
    BOOST_TEST(choose_context_length(0, model_with_window(4096, 4096)).value() == 4096);
    BOOST_TEST(choose_context_length(0, model_with_window(4096, 8192)).value() == 4096);
    const ModelConfig config = model_with_window(32768, 4096);
    BOOST_TEST(choose_context_length(4096, config).value() == 4096);
    for (const std::int64_t longer : {0, 4097, 32768})
        refused(longer, config,
                {"sliding window of 4096 tokens", longer == 4097 ? "4097" : "32768",
                 "--max-model-len to at most 4096"});
    // The advice must help at once: it is the smaller one of both limits.
    refused(32769, config, {"at most 32768 tokens", "--max-model-len to at most 4096"});
}

BOOST_AUTO_TEST_CASE(dynamic_scaling_is_served_up_to_its_original_length) {
    BOOST_TEST(choose_context_length(0, model(2048, dynamic)).value() == 2048);
    refused(2049, model(2048, dynamic), {"dynamic RoPE scaling", "--max-model-len to at most 2048"});
    RopeScaling with_original = dynamic;
    with_original.original_max_position_embeddings = 512;
    BOOST_TEST(choose_context_length(0, model(2048, with_original)).value() == 512);
    refused(513, model(2048, with_original), {"dynamic RoPE scaling", "--max-model-len to at most 512"});
    with_original.original_max_position_embeddings = 4096;
    BOOST_TEST(choose_context_length(0, model(2048, with_original)).value() == 2048);
}

BOOST_AUTO_TEST_CASE(linear_scaling_allows_a_context_that_is_longer_by_its_factor) {
    const ModelConfig config = model(4096, {.type = RopeScaling::Type::linear, .factor = 2.5});
    BOOST_TEST(choose_context_length(0, config).value() == 4096);
    BOOST_TEST(choose_context_length(10240, config).value() == 10240);
    refused(10241, config, {"linear RoPE scaling", "--max-model-len to at most 10240"});
    const ModelConfig huge = model(1 << 24, {.type = RopeScaling::Type::linear, .factor = 1e6});
    BOOST_TEST(choose_context_length(1 << 20, huge).value() == 1 << 20);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
