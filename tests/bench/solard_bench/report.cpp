#include "tests/bench/solard_bench/report.hpp"

#include <array>
#include <boost/json.hpp>
#include <fstream>
#include <stdexcept>

namespace solard::bench {
namespace {

// Returns the first line that a command prints, or an empty text if the command fails.
std::string first_line_of(const std::string& command) {
    std::FILE* const pipe = ::popen((command + " 2>/dev/null").c_str(), "r");
    if (pipe == nullptr) return {};
    std::array<char, 512> line{};
    const bool read = std::fgets(line.data(), static_cast<int>(line.size()), pipe) != nullptr;
    ::pclose(pipe);
    std::string text = read ? line.data() : "";
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    return text;
}

std::string ask_card(const std::string& field) {
    return first_line_of("nvidia-smi --format=csv,noheader --query-gpu=" + field);
}

}  // namespace

Facts gather_facts(const std::string& repository, bool on_gpu) {
    Facts facts;
    facts.emplace_back("date", first_line_of("date -u +%Y-%m-%dT%H:%M:%SZ"));
    facts.emplace_back("commit", first_line_of("git -C '" + repository + "' describe --always --dirty"));
    std::string load;
    std::getline(std::ifstream("/proc/loadavg"), load);
    facts.emplace_back("load", load);
    if (!on_gpu) {
        facts.emplace_back("processor", first_line_of("sed -n 's/^model name.*: //p' /proc/cpuinfo"));
        return facts;
    }
    for (const char* const field : {"name", "driver_version", "ecc.mode.current", "clocks.max.sm",
                                    "clocks.max.mem", "power.limit", "memory.total"}) {
        facts.emplace_back(field, ask_card(field));
    }
    return facts;
}

Report::Report(Facts facts, const std::string& json_file, bool on_gpu)
    : facts_(std::move(facts)), on_gpu_(on_gpu) {
    for (const auto& [name, value] : facts_) std::printf("%-18s %s\n", name.c_str(), value.c_str());
    if (json_file.empty()) return;
    json_ = std::fopen(json_file.c_str(), "a");
    if (json_ == nullptr) throw std::runtime_error(json_file + " cannot be written");
}

Report::~Report() {
    if (json_ != nullptr) std::fclose(json_);
}

void Report::begin(const std::string& title) {
    title_ = title;
    header_printed_ = false;
    std::printf("\n%s\n", title.c_str());
}

void Report::add(const Row& row) {
    if (!header_printed_) {
        std::printf("%-34s", "");
        for (const auto& [name, value] : row.values) std::printf(" %14s", name.c_str());
        std::printf("\n");
        header_printed_ = true;
    }
    std::printf("%-34s", row.name.c_str());
    for (const auto& [name, value] : row.values) std::printf(" %14.4g", value);
    std::printf("\n");
    std::fflush(stdout);
    if (json_ == nullptr) return;
    boost::json::object line{{"table", title_}, {"row", row.name}};
    for (const auto& [name, value] : row.values) line[name] = value;
    for (const auto& [name, value] : facts_) line[name] = value;
    for (const char* const clock : {"clocks.sm", "clocks.mem"}) {
        if (on_gpu_) line[clock] = ask_card(clock);
    }
    std::fprintf(json_, "%s\n", boost::json::serialize(line).c_str());
    std::fflush(json_);
}

}  // namespace solard::bench
