#include "server/app_config.hpp"

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <charconv>
#include <cmath>
#include <fstream>
#include <optional>
#include <ostream>
#include <span>
#include <variant>

namespace solard {
namespace {

namespace po = boost::program_options;
using std::chrono::milliseconds;

// How a value is written: bytes take a suffix (KiB, MiB, GiB), seconds may have a fraction.
struct Bytes {
    std::int64_t AppConfig::* member;
};
using Member = std::variant<std::string AppConfig::*, std::int64_t AppConfig::*, Bytes, bool AppConfig::*,
                            milliseconds AppConfig::*, std::vector<std::string> AppConfig::*>;

struct Option {
    std::string_view group;
    std::string_view
        name;  // long flag and file key; the environment's name is SOLARD_ + upper case, '-' as '_'
    Member member;
    std::string_view fallback;  // default, in the option's own notation
    std::string_view help;
    double min = 0;  // numbers: the closed range, in tokens, bytes, seconds ...
    double max = 0;
    std::string_view choices = {};  // strings: "a|b|c"; empty = any
    bool command_line_only = false;
};

constexpr double one_gib = 1024.0 * 1024 * 1024;
constexpr double one_day = 86400;

// The one table.
const auto& option_table() {
    using A = AppConfig;
    static const std::array options{
        Option{"Model", "model", &A::model, SOLARD_DEFAULT_MODEL, "Hugging Face folder to serve"},
        Option{"Model", "served-model-name", &A::served_model_name, "",
               "name clients use (repeatable; the first is the main one)"},
        Option{"Model", "chat-template", &A::chat_template, "", "override an unknown template", 0, 0,
               "solar"},
        Option{"Model", "dtype", &A::dtype, "auto", "compute type", 0, 0, "auto|bf16|fp16"},
        Option{"Network", "host", &A::host, "127.0.0.1", "address to listen on"},
        Option{"Network", "port", &A::port, "8000", "port to listen on; 0 = any free one", 0, 65535},
        Option{"Network", "unix-socket", &A::unix_socket, "", "listen on this path instead of host and port"},
        Option{"Network", "allow-anonymous", &A::allow_anonymous, "", "serve other hosts without an API key"},
        Option{"Engine", "device", &A::device, "auto", "where the model runs", 0, 0, "auto|cpu|cuda"},
        Option{"Engine", "threads", &A::threads, "0", "CPU threads; 0 = one per core", 0, 1024},
        Option{"Engine", "kv-cache-memory", Bytes{&A::kv_cache_memory}, "1GiB",
               "memory of the KV cache on CPU", 1024, 4096 * one_gib},
        Option{"Engine", "max-model-len", &A::max_model_len, "0", "context in tokens; 0 = the model's own", 0,
               1 << 20},
        Option{"Engine", "max-num-seqs", &A::max_num_seqs, "64", "sequences that run together", 1, 4096},
        Option{"Engine", "max-num-batched-tokens", &A::max_num_batched_tokens, "0",
               "tokens of one step; 0 = timed at start", 0, 1 << 16},
        Option{"Engine", "max-queued-requests", &A::max_queued_requests, "256", "requests that may wait", 0,
               1 << 20},
        Option{"Engine", "max-queued-tokens", &A::max_queued_tokens, "524288", "prompt tokens that may wait",
               1, 1 << 30},
        Option{"Engine", "queue-timeout", &A::queue_timeout, "60", "seconds a request may wait", 0.001,
               one_day},
        Option{"Engine", "request-timeout", &A::request_timeout, "600", "seconds a request may take", 0.001,
               one_day},
        Option{"Limits", "max-connections", &A::max_connections, "12000", "connections in all", 1, 1 << 20},
        Option{"Limits", "max-body-size", Bytes{&A::max_body_size}, "4MiB", "size of a request body", 1024,
               one_gib},
        Option{"Limits", "max-header-size", Bytes{&A::max_header_size}, "16KiB", "size of a header block",
               1024, 1024.0 * 1024},
        Option{"Limits", "header-timeout", &A::header_timeout, "10", "seconds for a header block", 0.001,
               one_day},
        Option{"Limits", "body-timeout", &A::body_timeout, "30", "seconds for a request body", 0.001,
               one_day},
        Option{"Limits", "idle-timeout", &A::idle_timeout, "75", "seconds between requests", 0.001, one_day},
        Option{"Limits", "write-timeout", &A::write_timeout, "30", "seconds a write may take", 0.001,
               one_day},
        Option{"Limits", "keep-alive-interval", &A::keep_alive_interval, "15",
               "seconds of silence on a stream before idle bytes", 0.001, one_day},
        Option{"Process", "drain-timeout", &A::drain_timeout, "60",
               "seconds for running answers after SIGTERM", 0, one_day},
        Option{"Process", "log-level", &A::log_level, "info", "what is logged", 0, 0,
               "error|warning|info|debug"},
        Option{"Process", "config", &A::config, "", "configuration file", 0, 0, "", true},
        Option{"Process", "check-config", &A::check_config, "", "print the effective values and exit", 0, 0,
               "", true},
        Option{"Process", "list-devices", &A::list_devices, "", "print usable devices and exit", 0, 0, "",
               true},
        Option{"Process", "version", &A::version, "", "print the version and exit", 0, 0, "", true},
        Option{"Process", "help", &A::help, "", "print this help and exit", 0, 0, "", true},
    };
    return options;
}

const Option* find_option(std::string_view name) {
    const auto& table = option_table();
    const auto it = std::ranges::find(table, name, &Option::name);
    return it == table.end() ? nullptr : &*it;
}

bool is_flag(const Option& option) {
    return std::holds_alternative<bool AppConfig::*>(option.member);
}

std::string environment_name(std::string_view option) {
    std::string name = "SOLARD_";
    for (const char c : option) name += c == '-' ? '_' : static_cast<char>(std::toupper(c));
    return name;
}

// Levenshtein distance, for "did you mean".
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t substitution = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = std::exchange(row[j], std::min({substitution, row[j] + 1, row[j - 1] + 1}));
        }
    }
    return row.back();
}

std::string suggestion_for(std::string_view name) {
    std::string_view best;
    std::size_t best_distance = 4;
    for (const auto& option : option_table()) {
        const std::size_t distance = edit_distance(name, option.name);
        if (distance < best_distance) std::tie(best_distance, best) = std::pair{distance, option.name};
    }
    return best.empty() ? "; see --help" : "; did you mean '" + std::string(best) + "'?";
}

std::optional<double> parse_number(std::string_view text) {
    double value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<double> parse_bytes(std::string_view text) {
    double unit = 1;
    for (const auto& [suffix, factor] :
         {std::pair{"KiB", 1024.0}, {"MiB", 1024.0 * 1024}, {"GiB", one_gib}}) {
        if (text.ends_with(suffix)) {
            text.remove_suffix(3);
            unit = factor;
            break;
        }
    }
    const auto number = parse_number(text);
    if (!number) return std::nullopt;
    return *number * unit;
}

std::string shown(double value) {
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    return {text.data(), end};
}

bool is_choice(std::string_view choices, std::string_view value) {
    while (!choices.empty()) {
        const auto bar = choices.find('|');
        if (choices.substr(0, bar) == value) return true;
        if (bar == std::string_view::npos) break;
        choices.remove_prefix(bar + 1);
    }
    return false;
}

// `value` if it lies in the option's range; not-a-number fails every comparison.
std::optional<double> in_range(const Option& option, std::optional<double> value) {
    if (value && *value >= option.min && *value <= option.max) return value;
    return std::nullopt;
}

std::string expected(std::string_view what, std::string_view text) {
    return "expected " + std::string(what) + ", got '" + std::string(text) + "'";
}

std::string expected_range(std::string_view what, const Option& option, std::string_view text) {
    return expected(std::string(what) + " from " + shown(option.min) + " to " + shown(option.max), text);
}

using Problem = std::optional<std::string>;  // the part of a message after "option 'x': "

// One overload for each type of option: checks `text` and stores it.
Problem store(std::string AppConfig::* member, AppConfig& config, const Option& option,
              std::string_view text) {
    if (!option.choices.empty() && text != option.fallback && !is_choice(option.choices, text))
        return expected("one of " + std::string(option.choices), text);
    config.*member = text;
    return std::nullopt;
}

Problem store(std::vector<std::string> AppConfig::* member, AppConfig& config, const Option&,
              std::string_view text) {
    if (!text.empty()) (config.*member).emplace_back(text);
    return std::nullopt;
}

Problem store(bool AppConfig::* member, AppConfig& config, const Option&, std::string_view text) {
    if (!text.empty() && text != "true" && text != "false") return expected("true or false", text);
    config.*member = text == "true";
    return std::nullopt;
}

Problem store(std::int64_t AppConfig::* member, AppConfig& config, const Option& option,
              std::string_view text) {
    const auto value = in_range(option, parse_number(text));
    if (!value || std::trunc(*value) != *value) return expected_range("a whole number", option, text);
    config.*member = static_cast<std::int64_t>(*value);
    return std::nullopt;
}

Problem store(Bytes bytes, AppConfig& config, const Option& option, std::string_view text) {
    const auto value = in_range(option, parse_bytes(text));
    if (!value) return expected_range("a size (such as 512MiB)", option, text);
    config.*bytes.member = static_cast<std::int64_t>(*value);
    return std::nullopt;
}

Problem store(milliseconds AppConfig::* member, AppConfig& config, const Option& option,
              std::string_view text) {
    const auto value = in_range(option, parse_number(text));
    if (!value) return expected_range("seconds", option, text);
    config.*member = milliseconds(std::llround(*value * 1000));
    return std::nullopt;
}

Problem store(AppConfig& config, const Option& option, std::string_view text) {
    return std::visit([&](auto member) { return store(member, config, option, text); }, option.member);
}

struct Setting {
    std::string name;
    std::string value;
    std::string where;  // for messages: "--port", "SOLARD_PORT", "file.conf:12"
};

// One source's settings override those of the sources before it.
result<void> apply(AppConfig& config, std::span<const Setting> settings, std::string_view source, errc code) {
    for (const auto& setting : settings) {
        const Option* option = find_option(setting.name);
        if (option == nullptr || (option->command_line_only && source != "command line"))
            return Error{code, setting.where + ": unknown option '" + setting.name + "'" +
                                   suggestion_for(setting.name)};
        auto& known_source = config.sources[setting.name];
        if (known_source != source) {
            if (const auto* list = std::get_if<std::vector<std::string> AppConfig::*>(&option->member))
                (config.*(*list)).clear();
            known_source = source;
        }
        if (const auto problem = store(config, *option, setting.value))
            return Error{code, setting.where + ": option '" + setting.name + "': " + *problem};
    }
    return {};
}

result<std::vector<Setting>> read_command_line(const std::vector<std::string>& arguments) {
    po::options_description description;
    for (const auto& option : option_table()) {
        const std::string name(option.name);
        if (is_flag(option)) {
            description.add_options()(name.c_str(),
                                      po::value<std::string>()->implicit_value("true", "")->zero_tokens());
        } else {
            description.add_options()(name.c_str(), po::value<std::vector<std::string>>());
        }
    }
    namespace style = po::command_line_style;
    try {
        const auto parsed =
            po::command_line_parser(arguments)
                .options(description)
                .style(style::allow_long | style::long_allow_next | style::long_allow_adjacent)
                .positional(po::positional_options_description{})
                .run();
        std::vector<Setting> settings;
        for (const auto& option : parsed.options) {
            const std::string value = option.value.empty() ? "true" : option.value.front();
            settings.push_back({option.string_key, value, "command line"});
        }
        return settings;
    } catch (const po::unknown_option& unknown) {
        std::string name = unknown.get_option_name();
        name.erase(0, name.find_first_not_of('-'));
        return Error{errc::bad_command_line,
                     "command line: unknown option '" + name + "'" + suggestion_for(name)};
    } catch (const po::too_many_positional_options_error&) {
        return Error{errc::bad_command_line, "command line: options begin with '--'; see --help"};
    } catch (const po::error& error) {
        return Error{errc::bad_command_line, std::string("command line: ") + error.what()};
    }
}

std::vector<Setting> read_environment(const std::vector<std::string>& environment) {
    std::vector<Setting> settings;
    for (const auto& entry : environment) {
        const auto equals = entry.find('=');
        if (equals == std::string::npos) continue;
        const std::string name = entry.substr(0, equals);
        // Variables of other programs that share the prefix (SOLARD_BINARY of the tests) are not ours to
        // refuse.
        const auto& table = option_table();
        const auto it = std::ranges::find_if(
            table, [&](const Option& o) { return !o.command_line_only && environment_name(o.name) == name; });
        if (it != table.end()) settings.push_back({std::string(it->name), entry.substr(equals + 1), name});
    }
    return settings;
}

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// A comment begins with '#' at the beginning of a line or after a blank: a path may hold one.
std::string_view without_comment(std::string_view line) {
    for (std::size_t i = 0; i < line.size(); ++i)
        if (line[i] == '#' && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t')) return line.substr(0, i);
    return line;
}

result<std::vector<Setting>> read_file(const std::string& path) {
    std::ifstream file(path);
    if (!file) return Error{errc::bad_configuration, path + ": cannot be read"};
    std::vector<Setting> settings;
    std::string line;
    for (int number = 1; std::getline(file, line); ++number) {
        const std::string where = path + ":" + std::to_string(number);
        const auto text = trimmed(without_comment(line));
        if (text.empty()) continue;
        const auto equals = text.find('=');
        if (equals == std::string_view::npos)
            return Error{errc::bad_configuration,
                         where + ": expected 'key = value', got '" + std::string(text) + "'"};
        settings.push_back({std::string(trimmed(text.substr(0, equals))),
                            std::string(trimmed(text.substr(equals + 1))), where});
    }
    if (file.bad()) return Error{errc::bad_configuration, path + ": cannot be read"};
    return settings;
}

std::string text_of(const std::string& value) {
    return value;
}
std::string text_of(bool value) {
    return value ? "true" : "false";
}
std::string text_of(std::int64_t value) {
    return std::to_string(value);
}
std::string text_of(milliseconds value) {
    return shown(static_cast<double>(value.count()) / 1000);
}

// Every value of the option: one, but for a list.
std::vector<std::string> values_of(const AppConfig& config, const Option& option) {
    return std::visit(
        [&](auto member) -> std::vector<std::string> {
            if constexpr (std::is_same_v<decltype(member), Bytes>) {
                return {text_of(config.*member.member)};
            } else if constexpr (std::is_same_v<decltype(member), std::vector<std::string> AppConfig::*>) {
                return config.*member;
            } else {
                return {text_of(config.*member)};
            }
        },
        option.member);
}

}  // namespace

result<AppConfig> parse_app_config(const std::vector<std::string>& arguments,
                                   const std::vector<std::string>& environment) {
    AppConfig config;
    for (const auto& option : option_table()) {
        store(config, option, option.fallback);
        config.sources[std::string(option.name)] = "default";
    }
    auto command_line = read_command_line(arguments);
    if (!command_line) return command_line.error();

    const auto file_flag = std::ranges::find(*command_line, "config", &Setting::name);
    if (file_flag != command_line->end()) {
        const auto settings = read_file(file_flag->value);
        if (!settings) return settings.error();
        if (auto ok = apply(config, *settings, "file", errc::bad_configuration); !ok) return ok.error();
    }
    if (auto ok = apply(config, read_environment(environment), "environment", errc::bad_configuration); !ok)
        return ok.error();
    if (auto ok = apply(config, *command_line, "command line", errc::bad_command_line); !ok)
        return ok.error();
    return config;
}

void print_help(std::ostream& out) {
    out << "usage: solard [options]\n"
           "Serves a Llama-architecture model over the OpenAI API. Every option may also stand in the file "
           "given by\n"
           "--config (key = value) or in the environment (SOLARD_PORT for --port).\n";
    std::string_view group;
    for (const auto& option : option_table()) {
        if (option.group != group) out << '\n' << (group = option.group) << ":\n";
        std::string left = "  --" + std::string(option.name);
        if (!is_flag(option)) left += option.choices.empty() ? " VALUE" : " " + std::string(option.choices);
        left.resize(std::max<std::size_t>(left.size() + 2, 40), ' ');
        out << left << option.help;
        if (!option.fallback.empty()) out << " (" << option.fallback << ")";
        out << '\n';
    }
}

void print_config(std::ostream& out, const AppConfig& config) {
    for (const auto& option : option_table()) {
        if (option.command_line_only) continue;
        for (const auto& value : values_of(config, option))
            out << option.name << " = " << value << "  # " << config.sources.find(option.name)->second
                << '\n';
    }
}

}  // namespace solard
