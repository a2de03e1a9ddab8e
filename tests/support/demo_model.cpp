#include "tests/support/demo_model.hpp"

#include <boost/json.hpp>
#include <fstream>
#include <iterator>

namespace solard {
namespace {

std::filesystem::path demo_folder() {
    return std::filesystem::path(SOLARD_SOURCE_DIR) / "config" / "demo-model";
}

}  // namespace

DemoModel::DemoModel()
    : folder(demo_folder()),
      config(load_model_config(folder).value()),
      source(WeightSource::open(folder).value()),
      tensors(resolve_tensors(source, config).value()),
      tokenizer(Tokenizer::load(folder, config.vocab_size).value()) {}

std::vector<DemoExample> demo_examples() {
    std::ifstream file(demo_folder() / "families.json");
    const std::string text(std::istreambuf_iterator<char>(file), {});
    const boost::json::value families = boost::json::parse(text);
    std::vector<DemoExample> examples;
    for (const auto& family : families.as_array()) {
        const auto& example = family.at("example");
        examples.push_back({boost::json::value_to<std::string>(example.at("prompt")),
                            boost::json::value_to<std::string>(example.at("answer"))});
    }
    return examples;
}

}  // namespace solard
