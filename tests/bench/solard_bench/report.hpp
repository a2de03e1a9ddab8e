// What a benchmark prints: a table for people, and a JSON line a row with what must be known to read the
// figure again.
#pragma once

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace solard::bench {

// What the figures were taken on: commit, card, driver, highest clocks, ECC state, load average.
using Facts = std::vector<std::pair<std::string, std::string>>;
// `repository`: where git is asked for the commit. On a GPU, nvidia-smi is asked for the rest.
Facts gather_facts(const std::string& repository, bool on_gpu);

struct Row {
    std::string name;
    std::vector<std::pair<std::string, double>>
        values;  // with their units in the names, in the order of the table
};

class Report {
  public:
    // json_file: empty for none. on_gpu: each row also has the clocks that the card had right after it.
    Report(Facts facts, const std::string& json_file, bool on_gpu);
    Report(const Report&) = delete;
    Report& operator=(const Report&) = delete;
    ~Report();

    // A new table; its rows have the same values.
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
