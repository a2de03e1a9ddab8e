// The output of a benchmark: a table for people, and one JSON line per row. Each JSON line also holds all
// facts that are needed to interpret its figures later.
#pragma once

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace solard::bench {

// The conditions of a measurement: commit, card, driver, highest clocks, ECC state, load average.
using Facts = std::vector<std::pair<std::string, std::string>>;
// Gathers the facts. The commit comes from git in `repository`, and the facts about a card from nvidia-smi.
Facts gather_facts(const std::string& repository, bool on_gpu);

struct Row {
    std::string name;
    std::vector<std::pair<std::string, double>> values;  // one (name with unit, value) per column
};

class Report {
  public:
    // If json_file is empty, no JSON is written. If on_gpu is true, each JSON line also holds the card's
    // clocks, which are read right after the measurement.
    Report(Facts facts, const std::string& json_file, bool on_gpu);
    Report(const Report&) = delete;
    Report& operator=(const Report&) = delete;
    ~Report();

    // Begins a new table. All of its rows must have the same columns.
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
