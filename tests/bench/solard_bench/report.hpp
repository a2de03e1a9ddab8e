// The output of a benchmark: a table for people, and one JSON line per row, which also holds all facts that
// are needed to interpret the figure later.
#pragma once

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace solard::bench {

// The conditions of a measurement: commit, card, driver, highest clocks, ECC state, load average.
using Facts = std::vector<std::pair<std::string, std::string>>;
// Gathers the facts. The commit comes from git in `repository`; on a GPU, the rest comes from nvidia-smi.
Facts gather_facts(const std::string& repository, bool on_gpu);

struct Row {
    std::string name;
    std::vector<std::pair<std::string, double>> values;  // the names include units; in the order of the table
};

class Report {
  public:
    // If json_file is empty, no JSON is written. If on_gpu, each row also has the card's clocks right after
    // it.
    Report(Facts facts, const std::string& json_file, bool on_gpu);
    Report(const Report&) = delete;
    Report& operator=(const Report&) = delete;
    ~Report();

    // Begins a new table, whose rows all have the same values.
    void begin(const std::string& title);
    void add(const Row& row);

  private:
    Facts facts_;
    bool on_gpu_;
    std::string title_;
    bool header_printed_ = false;
    std::FILE* json_ = nullptr;
};

}  // namespace solard::bench
