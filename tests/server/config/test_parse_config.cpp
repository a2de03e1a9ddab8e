#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "server/config/parse_config.hpp"

namespace solard::server {

namespace {

// A configuration file, which is removed when this object is destroyed.
class ConfigFile {
  public:
    explicit ConfigFile(const std::string& text)
        : path_(std::filesystem::path(SOLARD_TEST_BUILD_DIR) /
                ("config_" + std::to_string(getpid()) + "_" + std::to_string(++count_) + ".conf")) {
        std::ofstream(path_) << text;
    }
    ~ConfigFile() { std::filesystem::remove(path_); }
    std::string path() const { return path_.string(); }

  private:
    inline static int count_ = 0;
    std::filesystem::path path_;
};

Error error_of(const std::vector<std::string>& arguments, const std::vector<std::string>& environment = {}) {
    const auto config = parse_app_config(arguments, environment);
    BOOST_REQUIRE(!config);
    return config.error();
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(app_config)

BOOST_AUTO_TEST_CASE(defaults_are_the_documented_ones) {
    const auto config = parse_app_config({}, {}).value();
    BOOST_TEST(config.host == "127.0.0.1");
    BOOST_TEST(config.port == 8000);
    BOOST_TEST(config.max_queued_requests == 256);
    BOOST_TEST(config.max_queued_tokens == 512 * 1024);
    BOOST_TEST(config.kv_cache_memory == std::int64_t{1} << 30);
    BOOST_TEST(config.max_body_size == 4 << 20);
    BOOST_TEST(config.max_header_size == 16 << 10);
    BOOST_TEST(config.max_waiting_memory == 512 << 20);
    BOOST_TEST((config.keep_alive_interval == std::chrono::seconds(15)));
    BOOST_TEST(config.served_model_name.empty());
}

BOOST_AUTO_TEST_CASE(flag_overrides_environment_which_overrides_file) {
    const ConfigFile file("port = 1  # of the file\nthreads=2\nlog-level = debug\n");
    const auto config = parse_app_config({"--config", file.path(), "--port", "3"},
                                         {"SOLARD_PORT=9", "SOLARD_THREADS=4", "PATH=/"})
                            .value();
    BOOST_TEST(config.port == 3);
    BOOST_TEST(config.threads == 4);
    BOOST_TEST(config.log_level == "debug");
    BOOST_TEST(config.sources.at("port") == "command line");
    BOOST_TEST(config.sources.at("threads") == "environment");
    BOOST_TEST(config.sources.at("log-level") == "file");
    BOOST_TEST(config.sources.at("host") == "default");
}

BOOST_AUTO_TEST_CASE(lists_grow_within_one_source_and_are_replaced_by_the_next_source) {
    const ConfigFile file("served-model-name = a\nserved-model-name = b\n");
    const auto from_file = parse_app_config({"--config", file.path()}, {}).value();
    BOOST_TEST((from_file.served_model_name == std::vector<std::string>{"a", "b"}));
    const auto from_flags =
        parse_app_config({"--config", file.path(), "--served-model-name", "c", "--served-model-name=d"}, {})
            .value();
    BOOST_TEST((from_flags.served_model_name == std::vector<std::string>{"c", "d"}));
}

BOOST_AUTO_TEST_CASE(sizes_take_units_and_seconds_take_fractions) {
    const auto config =
        parse_app_config({"--kv-cache-memory", "512MiB", "--max-body-size=8192", "--drain-timeout", "0.25"},
                         {})
            .value();
    BOOST_TEST(config.kv_cache_memory == std::int64_t{512} << 20);
    BOOST_TEST(config.max_body_size == 8192);
    BOOST_TEST((config.drain_timeout == std::chrono::milliseconds(250)));
}

BOOST_AUTO_TEST_CASE(unknown_flag_suggests_the_most_similar_option) {
    const auto error = error_of({"--prot", "1"});
    BOOST_TEST((error.code == errc::bad_command_line));
    BOOST_TEST(contains(error.message, "'prot'"));
    BOOST_TEST(contains(error.message, "did you mean 'port'"));
    BOOST_TEST((error_of({"serve"}).code == errc::bad_command_line));
    BOOST_TEST((error_of({"--port"}).code == errc::bad_command_line));
    // Abbreviations are refused, because a new option could change their meaning.
    BOOST_TEST((error_of({"--por", "1"}).code == errc::bad_command_line));
}

BOOST_AUTO_TEST_CASE(errors_in_a_file_name_its_path_and_line) {
    const ConfigFile unknown("port = 1\n\nprot = 2\n");
    const auto error = error_of({"--config", unknown.path()});
    BOOST_TEST((error.code == errc::bad_configuration));
    BOOST_TEST(contains(error.message, unknown.path() + ":3"));
    BOOST_TEST(contains(error.message, "did you mean 'port'"));

    const ConfigFile no_value("port\n");
    BOOST_TEST(contains(error_of({"--config", no_value.path()}).message, ":1: expected 'key = value'"));
    const ConfigFile nested("config = other\n");
    const auto nested_error = error_of({"--config", nested.path()});
    BOOST_TEST((nested_error.code == errc::bad_configuration));
    BOOST_TEST(contains(nested_error.message, ":1: option 'config' can be given only on the command line"));
    BOOST_TEST((error_of({"--config", "no/such/file"}).code == errc::bad_configuration));
}

BOOST_AUTO_TEST_CASE(configuration_file_must_be_text_in_utf8) {
    const ConfigFile marked("\xEF\xBB\xBFport = 7\r\n");  // as some editors write it
    BOOST_TEST(parse_app_config({"--config", marked.path()}, {}).value().port == 7);
    for (const auto& [text, where] :
         {std::pair<std::string, std::string>{"port = 1\nmodel = caf\xE9\n", ":2:12: found the byte 0xe9"},
          {"model = \xC3\xA9\xFF", ":1:10: found the byte 0xff"},
          {std::string("p\0o\0", 4), ":1:2: found the byte 0x00"},
          {"\xFF\xFEp", ":1:1: found the byte 0xff"}}) {
        const ConfigFile file(text);
        const auto error = error_of({"--config", file.path()});
        BOOST_TEST((error.code == errc::bad_configuration));
        BOOST_TEST(error.message == file.path() + where + "; the configuration file must be text in UTF-8");
    }
    BOOST_TEST(contains(error_of({"--config", "/"}).message, "cannot be read"));
}

BOOST_AUTO_TEST_CASE(values_outside_their_range_are_refused_with_the_range) {
    for (const char* port : {"-1", "65536", "1e9", "nan", "inf", "8000x", "80.5", "0x50"}) {
        const auto error = error_of({std::string("--port=") + port});
        BOOST_TEST(contains(error.message, "from 0 to 65535"), port);
    }
    BOOST_TEST((error_of({"--port="}).code == errc::bad_command_line));
    BOOST_TEST(parse_app_config({"--port=0"}, {}).value().port == 0);
    BOOST_TEST(parse_app_config({"--port=65535"}, {}).value().port == 65535);
    BOOST_TEST(parse_app_config({}, {}).value().max_prompt_logprobs == 1 << 20);
    BOOST_TEST(parse_app_config({"--max-prompt-logprobs=0"}, {}).value().max_prompt_logprobs == 0);
    BOOST_TEST((error_of({"--max-prompt-logprobs=-1"}).code == errc::bad_command_line));
    BOOST_TEST(parse_app_config({"--max-waiting-memory=1MiB"}, {}).value().max_waiting_memory == 1 << 20);
    BOOST_TEST((error_of({"--max-waiting-memory=1048575"}).code == errc::bad_command_line));
    BOOST_TEST(contains(error_of({"--device", "gpu"}).message, "auto|cpu|cuda"));
    BOOST_TEST((error_of({}, {"SOLARD_PORT=x"}).code == errc::bad_configuration));
    BOOST_TEST(contains(error_of({}, {"SOLARD_PORT=x"}).message, "SOLARD_PORT"));
}

BOOST_AUTO_TEST_CASE(options_of_a_gpu_are_read_and_checked) {
    const auto defaults = parse_app_config({}, {}).value();
    BOOST_TEST(defaults.gpu_memory_utilization == 0.9);
    BOOST_TEST(defaults.cublaslt == "");
    BOOST_TEST(!defaults.deterministic);
    const auto config = parse_app_config({"--deterministic", "--cublaslt", "/opt/cuda/lib64"},
                                         {"SOLARD_GPU_MEMORY_UTILIZATION=0.5", "SOLARD_DETERMINISTIC=false"})
                            .value();
    BOOST_TEST(config.gpu_memory_utilization == 0.5);
    BOOST_TEST(config.cublaslt == "/opt/cuda/lib64");
    BOOST_TEST(config.deterministic);
    for (const char* share : {"0.1", "0.98"}) {
        BOOST_TEST(!!parse_app_config({"--gpu-memory-utilization", share}, {}), share);
    }
    for (const char* share : {"0.09", "0.99", "1", "90", "90%", "nan"}) {
        const auto error = error_of({std::string("--gpu-memory-utilization=") + share});
        BOOST_TEST((error.code == errc::bad_command_line));
        BOOST_TEST(contains(error.message, "from 0.1 to 0.98"), share);
    }
}

BOOST_AUTO_TEST_CASE(origins_have_the_form_that_browsers_send) {
    for (const auto& [given, kept] : {std::pair<std::string, std::string>{"*", "*"},
                                      {"https://chat.example", "https://chat.example"},
                                      {"https://Chat.Example/", "https://chat.example"},
                                      {"HTTPS://chat.example:443", "https://chat.example"},
                                      {"http://chat.example:80/", "http://chat.example"},
                                      {"http://chat.example:8080", "http://chat.example:8080"},
                                      {"https://chat.example:1", "https://chat.example:1"},
                                      {"https://chat.example:65535", "https://chat.example:65535"},
                                      {"http://[::1]:3000", "http://[::1]:3000"},
                                      {"chrome-extension://abc", "chrome-extension://abc"}}) {
        const auto config = parse_app_config({"--allowed-origins", given}, {}).value();
        BOOST_TEST((config.allowed_origins == std::vector<std::string>{kept}), given);
    }
    for (const std::string wrong : {"chat.example",
                                    "https://",
                                    "https://chat.example/app",
                                    "https://a b",
                                    "https://chat.example:x",
                                    "https://chat.example:",
                                    "https://chat.example:0",
                                    "https://chat.example:0443",
                                    "https://chat.example:00",
                                    "http://chat.example:080",
                                    "https://chat.example:65536",
                                    "https://chat.example:99999",
                                    "https://chat.example:4294967376",
                                    "https://chat.example:+1",
                                    "http://[::1]:0",
                                    "http://[::1]3000",
                                    "http://[",
                                    "http://[]x",
                                    "ws://chat.example",
                                    "wss://chat.example",
                                    "http://[::1]:03000",
                                    "null",
                                    "https://*.example",
                                    "https://user@chat.example",
                                    "://x"}) {
        const auto error = error_of({"--allowed-origins", wrong});
        BOOST_TEST((error.code == errc::bad_configuration), wrong);
        BOOST_TEST(contains(error.message, "option 'allowed-origins'"), wrong);
        BOOST_TEST(contains(error.message, "'" + wrong + "'"), wrong);
        BOOST_TEST(contains(error.message, "without a path, and with a port from 1 to 65535"), wrong);
    }
}

BOOST_AUTO_TEST_CASE(allowed_hosts_are_names_without_scheme_port_and_path) {
    BOOST_TEST(parse_app_config({"--allowed-hosts", "my_upstream"}, {}).has_value());
    for (const std::string wrong : {"https://chat.example", "chat.example:80", "chat.example/"})
        BOOST_TEST(contains(error_of({"--allowed-hosts", wrong}).message, "option 'allowed-hosts'"), wrong);
}

BOOST_AUTO_TEST_CASE(api_key_must_not_be_empty_and_is_never_shown) {
    BOOST_TEST(contains(error_of({"--api-key", ""}).message, "option 'api-key': must not be empty"));
    const auto from_environment = parse_app_config({}, {"SOLARD_API_KEY="});
    BOOST_TEST(contains(from_environment.error().message, "SOLARD_API_KEY: option 'api-key'"));
    const auto config = parse_app_config({}, {"SOLARD_API_KEY=sk-secret"}).value();
    BOOST_TEST(config.api_key == "sk-secret");
    std::ostringstream text;
    print_config(text, config);
    BOOST_TEST(contains(text.str(), "# api-key is set and not shown, environment\n"));
    BOOST_TEST(contains(text.str(), "# allowed-hosts is not set\n"));
    BOOST_TEST(text.str().find("sk-secret") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(api_key_that_clients_cannot_send_is_refused_and_not_repeated) {
    BOOST_TEST(parse_app_config({"--api-key", "!~sk-\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}"}, {}).has_value());
    for (const std::string& wrong : std::vector<std::string>{
             "", " ", "sk secret", " sk-secret", "sk-secret ", "sk-secret\n", "sk-secret\r", "sk\tsecret",
             "sk-secret\x01", "sk-secret\x7f", "sk-secr\xc3\xa9t", "sk-secret\xff"}) {
        const std::vector<std::pair<Error, std::string>> errors{
            {error_of({"--api-key", wrong}), "command line: "},
            {parse_app_config({}, {"SOLARD_API_KEY=" + wrong}).error(), "SOLARD_API_KEY: "}};
        for (const auto& [error, where] : errors) {
            BOOST_TEST(error.message.starts_with(where + "option 'api-key': must not be empty"), wrong);
            BOOST_TEST(contains(error.message, "visible ASCII characters without spaces"), wrong);
            BOOST_TEST(!contains(error.message, "secr"), wrong);
        }
    }
    for (const std::string flag : {"--apikey=sk-secret", "--api_key=sk-secret"}) {
        const auto error = error_of({flag});
        BOOST_TEST(contains(error.message, "did you mean 'api-key'?"), flag);
        BOOST_TEST(!contains(error.message, "secr"), flag);
    }
    for (const std::string line : {"api-key = sk secret", "api-key =", "api-key sk-secret",
                                   "api-key = sk-secr\xff", "api-key: sk-secret=", "api-key sk-secret="}) {
        const ConfigFile file("port = 1\n" + line + "\n");
        const auto error = error_of({"--config", file.path()});
        BOOST_TEST((error.code == errc::bad_configuration), line);
        BOOST_TEST(contains(error.message, file.path() + ":2"), line);
        BOOST_TEST(!contains(error.message, "secr"), line);
    }
}

BOOST_AUTO_TEST_CASE(output_of_check_config_is_a_file_with_the_same_values) {
    const auto config =
        parse_app_config({"--port", "81", "--served-model-name", "x", "--drain-timeout", "1.5"}, {}).value();
    std::ostringstream text;
    print_config(text, config);
    BOOST_TEST(contains(text.str(), "port = 81  # command line"));
    const ConfigFile file(text.str());
    const auto again = parse_app_config({"--config", file.path()}, {}).value();
    BOOST_TEST(again.port == 81);
    BOOST_TEST((again.served_model_name == config.served_model_name));
    BOOST_TEST((again.drain_timeout == config.drain_timeout));
    BOOST_TEST(again.kv_cache_memory == config.kv_cache_memory);
}

BOOST_AUTO_TEST_CASE(annotated_example_file_contains_only_defaults) {
    const auto config = parse_app_config({"--config", SOLARD_SOURCE_DIR "/config/solard.conf"}, {}).value();
    const auto defaults = parse_app_config({}, {}).value();
    std::ostringstream with_file;
    std::ostringstream without;
    print_config(with_file, config);
    print_config(without, defaults);
    const auto values_only = [](std::string text) {
        std::string out;
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);) out += line.substr(0, line.find("  #")) + '\n';
        return out;
    };
    BOOST_TEST(values_only(with_file.str()) == values_only(without.str()));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
