#include "server/config/parse_config.hpp"

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>
#include <ostream>
#include <span>
#include <variant>

#include "server/config/allowed_names.hpp"
#include "server/config/option_table.hpp"
#include "server/config/text_file.hpp"

namespace solard::server {
namespace {

namespace po = boost::program_options;
using std::chrono::milliseconds;

constexpr double one_kib = 1024;

std::optional<double> parse_number(std::string_view text) {
    double value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<double> parse_bytes(std::string_view text) {
    double unit = 1;
    for (const auto& [suffix, factor] :
         {std::pair{"KiB", one_kib}, {"MiB", one_kib * one_kib}, {"GiB", one_kib * one_kib * one_kib}}) {
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

// Returns `value` if it lies in the range of the option. NaN is refused, because every comparison with NaN is
// false.
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

bool is_option_name(std::string_view name) {
    return std::ranges::all_of(name,
                               [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; });
}

// Returns true if every client can send `key` in a header. Clients encode other characters differently.
bool is_sendable_key(std::string_view key) {
    return !key.empty() && std::ranges::all_of(key, [](char c) { return c > ' ' && c < '\x7f'; });
}

using Problem = std::optional<std::string>;  // the part of a message after "option 'x': "

// There is one overload for each type of option. Each overload checks `text` and stores it.
Problem store(std::string AppConfig::* member, AppConfig& config, const Option& option,
              std::string_view text) {
    if (!option.choices.empty() && text != option.fallback && !is_choice(option.choices, text))
        return expected("one of " + std::string(option.choices), text);
    if (option.secret && !is_sendable_key(text))
        return "must not be empty, and must consist of visible ASCII characters without spaces, because "
               "clients send it in a header";
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

Problem store(double AppConfig::* member, AppConfig& config, const Option& option, std::string_view text) {
    const auto value = in_range(option, parse_number(text));
    if (!value) return expected_range("a number", option, text);
    config.*member = *value;
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
    std::string where;  // for messages: "command line", "SOLARD_PORT" or "file.conf:12"
};

// Applies the settings of one source, which override the settings of all sources that were applied before.
result<void> apply(AppConfig& config, std::span<const Setting> settings, std::string_view source, errc code) {
    for (const auto& setting : settings) {
        const Option* option = find_option(setting.name);
        if (option != nullptr && option->command_line_only && source != "command line")
            return Error{code, setting.where + ": option '" + setting.name +
                                   "' can be given only on the command line"};
        if (option == nullptr)
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
        name = name.substr(0, name.find('='));  // the value may be an API key
        return Error{errc::bad_command_line,
                     "command line: unknown option '" + name + "'" + suggestion_for(name)};
    } catch (const po::too_many_positional_options_error&) {
        return Error{
            errc::bad_command_line,
            "command line: found a value without an option; every option begins with '--', see --help"};
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
        // Other programs may use variables with the same prefix (such as SOLARD_BINARY of the tests), so
        // unknown names are ignored.
        const auto table = option_table();
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

// Removes a comment, which begins with '#' at the beginning of a line or after a blank. Elsewhere '#' is part
// of the value, for example of a path.
std::string_view without_comment(std::string_view line) {
    for (std::size_t i = 0; i < line.size(); ++i)
        if (line[i] == '#' && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t')) return line.substr(0, i);
    return line;
}

result<std::vector<Setting>> read_file(const std::string& path) {
    const auto lines = read_text_lines(path, "the configuration file");
    if (!lines) return lines.error();
    std::vector<Setting> settings;
    for (const auto& [line, where] : *lines) {
        const auto text = trimmed(without_comment(line));
        if (text.empty()) continue;
        const auto equals = text.find('=');
        // The messages do not repeat the line, which may contain an API key.
        if (equals == std::string_view::npos)
            return Error{errc::bad_configuration,
                         where + ": expected 'key = value', but the line has no '='"};
        const std::string name(trimmed(text.substr(0, equals)));
        if (!is_option_name(name))
            return Error{
                errc::bad_configuration,
                where + ": expected 'key = value', but the text before '=' is not the name of an option"};
        settings.push_back({name, std::string(trimmed(text.substr(equals + 1))), where});
    }
    return settings;
}

// Brings the origins into the form that browsers send. Refuses values which can never match.
result<void> normalize_names(AppConfig& config) {
    const auto refusal = [&](const std::string& option, std::string_view what, const std::string& value) {
        return Error{errc::bad_configuration,
                     config.sources[option] + ": option '" + option + "': " + expected(what, value)};
    };
    for (std::string& origin : config.allowed_origins) {
        const auto normal = normal_origin(origin);
        if (!normal)
            return refusal("allowed-origins",
                           "* or an origin such as https://example.com:8443, without a path, and with a port "
                           "from 1 to 65535 without a leading zero",
                           origin);
        origin = *normal;
    }
    for (const std::string& host : config.allowed_hosts) {
        if (!is_host_name(host))
            return refusal("allowed-hosts", "a name without scheme, port and path, such as example.com",
                           host);
    }
    return {};
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
std::string text_of(double value) {
    return shown(value);
}
std::string text_of(milliseconds value) {
    return shown(static_cast<double>(value.count()) / 1000);
}

// Returns all values of the option. Only an option that is a list may have no value or several values.
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
    if (auto ok = normalize_names(config); !ok) return ok.error();
    return config;
}

void print_help(std::ostream& out) {
    out << "usage: solard [options]\n"
           "       solard keygen [--name NAME] [--api-key-file FILE]\n"
           "Serves a model of Llama architecture over the OpenAI API. Options of the server can also be set "
           "in "
           "the file\n"
           "that --config names (key = value) or in the environment (SOLARD_PORT for --port).\n";
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
        const std::string& source = config.sources.find(option.name)->second;
        const auto values = values_of(config, option);
        if (values.empty()) out << "# " << option.name << " is not set\n";
        for (const auto& value : values) {
            if (option.secret) {
                out << "# " << option.name
                    << (value.empty() ? " is not set" : " is set and not shown, " + source) << '\n';
            } else {
                out << option.name << " = " << value << "  # " << source << '\n';
            }
        }
    }
}

}  // namespace solard::server
