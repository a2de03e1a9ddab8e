#include "inference/model/model_folder.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdlib>

#include "tests/support/check_refused.hpp"
#include "tests/support/model_folder.hpp"

namespace solard {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view lfs_pointer =
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 4982953168\n";

// Returns the error of a folder with these files, or of an empty folder.
result<void> refusal_of(const ModelFolder& folder) {
    const auto error = why_not_servable(folder.path());
    return error ? result<void>(*error) : result<void>();
}

// A Hugging Face cache with one model.
class Cache {
  public:
    explicit Cache(const std::string& entry) : entry_(folder_.path() / entry) {
        fs::create_directories(entry_ / "snapshots");
    }
    fs::path add_version(const std::string& commit) const {
        fs::create_directories(entry_ / "snapshots" / commit);
        return entry_ / "snapshots" / commit;
    }
    void set_main(const std::string& text) const {
        fs::create_directories(entry_ / "refs");
        folder_.write_text((entry_.filename() / "refs/main").string(), text);
    }
    const fs::path& path() const { return folder_.path(); }
    const fs::path& entry() const { return entry_; }

  private:
    ModelFolder folder_;
    fs::path entry_;
};

void check_found(const result<fs::path>& found, const fs::path& expected) {
    require_accepted(found);
    BOOST_TEST(*found == expected);
}

// Sets an environment variable until the end of the test.
class Variable {
  public:
    Variable(const char* name, const char* value) : name_(name) {
        if (const char* before = std::getenv(name)) before_ = before;
        value == nullptr ? ::unsetenv(name) : ::setenv(name, value, 1);
    }
    ~Variable() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

  private:
    const char* name_;
    std::optional<std::string> before_;
};

BOOST_AUTO_TEST_SUITE(model_folder)

// ---- finding a folder

BOOST_AUTO_TEST_CASE(a_folder_is_found_as_it_is_named) {
    const ModelFolder folder;
    check_found(find_model_folder(folder.path().string(), {}), folder.path());
}

BOOST_AUTO_TEST_CASE(cache_folder_follows_the_variables_of_hugging_face) {
    const Variable home("HOME", "/home/me");
    const Variable caches("XDG_CACHE_HOME", nullptr);
    const Variable hf_home("HF_HOME", nullptr);
    const Variable hub("HF_HUB_CACHE", nullptr);
    BOOST_TEST(hub_cache_folder() == "/home/me/.cache/huggingface/hub");
    const Variable xdg("XDG_CACHE_HOME", "/caches");
    BOOST_TEST(hub_cache_folder() == "/caches/huggingface/hub");
    const Variable hf("HF_HOME", "/hf");
    BOOST_TEST(hub_cache_folder() == "/hf/hub");
    const Variable cache("HF_HUB_CACHE", "/hub-cache");
    BOOST_TEST(hub_cache_folder() == "/hub-cache");
    const Variable empty("HF_HUB_CACHE", "");
    BOOST_TEST(hub_cache_folder() == "/hf/hub");
    const Variable below_home("HF_HOME", "~/hf");
    BOOST_TEST(hub_cache_folder() == "/home/me/hf/hub");
    const Variable other_home("HF_HOME", "~you/hf");
    BOOST_TEST(hub_cache_folder() == "~you/hf/hub");
}

BOOST_AUTO_TEST_CASE(name_of_the_hub_is_served_from_the_cache) {
    const Cache cache("models--upstage--SOLAR-10.7B-Instruct-v1.0");
    cache.add_version("aaaa");
    const fs::path main = cache.add_version("bbbb");
    cache.set_main("bbbb\n");
    check_found(find_model_folder("upstage/SOLAR-10.7B-Instruct-v1.0", cache.path()), main);
    // The folder of the model in the cache means the same.
    check_found(find_model_folder(cache.entry().string(), {}), main);
    check_found(find_model_folder(cache.entry().string() + "/", {}), main);
}

BOOST_AUTO_TEST_CASE(only_version_in_the_cache_is_served_without_main) {
    const Cache cache("models--me--model");
    const fs::path version = cache.add_version("cccc");
    check_found(find_model_folder("me/model", cache.path()), version);
    cache.set_main("dddd");  // this version is not there
    check_found(find_model_folder("me/model", cache.path()), version);
    cache.set_main("../../elsewhere");
    fs::create_directories(cache.path() / "elsewhere");
    check_found(find_model_folder("me/model", cache.path()), version);
    fs::create_symlink("nowhere", cache.entry() / "snapshots" / "other");  // not a folder
    check_found(find_model_folder("me/model", cache.path()), version);
}

BOOST_AUTO_TEST_CASE(one_of_several_versions_must_be_named) {
    const Cache cache("models--me--model");
    const std::string first = cache.add_version("aaaa").string();
    const std::string second = cache.add_version("bbbb").string();
    check_refused(find_model_folder("me/model", cache.path()),
                  {"Hugging Face cache", "--model " + first + " or", "--model " + second});
}

BOOST_AUTO_TEST_CASE(cache_entry_without_a_version_is_named) {
    const Cache cache("models--me--model");
    check_refused(find_model_folder("me/model", cache.path()),
                  {"models--me--model", "Hugging Face cache", "hf download"});
}

BOOST_AUTO_TEST_CASE(whole_cache_says_which_models_it_has) {
    const Cache cache("models--me--model");
    for (const char* name : {"models--a--b", "models--a--c", "models--a--d", "models--a--e", "models--a--f"})
        fs::create_directories(cache.path() / name / "snapshots");
    fs::create_directories(cache.path() / "models--a--empty");
    fs::create_directories(cache.path() / "datasets--me--data" / "snapshots");
    const std::string first = (cache.path() / "models--a--b").string();
    check_refused(find_model_folder(cache.path().string(), {}),
                  {"is a Hugging Face cache", "it has: --model " + first + " or --model ", "and 1 more"});
    // HF_HOME is the folder above.
    const ModelFolder home;
    fs::create_directories(home.path() / "hub" / "models--me--model" / "snapshots");
    check_refused(find_model_folder(home.path().string(), {}),
                  {"is a Hugging Face cache", (home.path() / "hub" / "models--me--model").string()});
}

BOOST_AUTO_TEST_CASE(unknown_name_says_what_was_looked_for_and_how_to_download_it) {
    const ModelFolder cache;
    check_refused(find_model_folder("me/my-model", cache.path()),
                  {"me/my-model: is not a folder", cache.path().string(),
                   "hf download me/my-model --local-dir my-model", "--model my-model"});
    check_refused(find_model_folder("me/my-model", {}), {"HF_HOME", "hf download me/my-model"});
    check_refused(find_model_folder("/no/such/model", cache.path()),
                  {"/no/such/model: does not exist, expected a model folder"});
}

// Names that are not those of the Hub never become a path in the cache.
BOOST_AUTO_TEST_CASE(odd_names_do_not_leave_the_cache) {
    const Cache cache("models--me--model");
    cache.add_version("aaaa");
    fs::create_directories(cache.path() / "models--" / "snapshots" / "aaaa");
    fs::create_directories(cache.path() / "models--..--x" / "snapshots" / "aaaa");
    for (const std::string& name :
         {std::string("../x"), std::string("me/../me/model"), std::string("me/model/"), std::string("/model"),
          std::string("me/"), std::string("me//model"), std::string("me--model"), std::string("a--b/c"),
          std::string("me/mo del"), std::string("me/model\0", 9), std::string("-me/model"),
          std::string("me/.model"), "me/" + std::string(200, 'a')}) {
        const auto found = find_model_folder(name, cache.path());
        BOOST_TEST(found.has_error());
        if (found.has_error())
            BOOST_TEST(found.error().message.find("hf download") == std::string::npos, found.error().message);
    }
}

BOOST_AUTO_TEST_CASE(files_are_not_folders) {
    const ModelFolder folder;
    folder.write_text("solar.Q4_K_M.gguf", "GGUF");
    folder.write_text("model.safetensors", "");
    check_refused(find_model_folder((folder.path() / "solar.Q4_K_M.gguf").string(), {}),
                  {"is a GGUF file", "safetensors", "original model"});
    check_refused(find_model_folder((folder.path() / "model.safetensors").string(), {}),
                  {"model.safetensors: is a file, expected the folder"});
}

// ---- folders which cannot be served

BOOST_AUTO_TEST_CASE(ordinary_and_empty_folders_are_left_to_the_loader) {
    const ModelFolder folder;
    require_accepted(refusal_of(folder));
    folder.write_text("config.json", R"({"quantization_config": null})");
    folder.write_text("model.safetensors", "");
    folder.write_text("pytorch_model.bin", "");
    folder.write_text("model.gguf", "");
    folder.write_text("adapter_config.json", "{}");
    require_accepted(refusal_of(folder));
    check_refused(result<void>(*why_not_servable(folder.path() / "nowhere")), {"is not a folder"});
}

BOOST_AUTO_TEST_CASE(pointers_of_git_lfs_are_named) {
    const ModelFolder folder;
    folder.write_text("config.json", "{}");
    folder.write_text("model-00001-of-00002.safetensors", lfs_pointer);
    check_refused(refusal_of(folder), {"model-00001-of-00002.safetensors", "pointer of Git LFS", "lfs pull",
                                       folder.path().string()});
    folder.write_text("model-00002-of-00002.safetensors", lfs_pointer);
    folder.write_text("tokenizer.model", lfs_pointer);
    check_refused(refusal_of(folder), {"model-00001-of-00002.safetensors", "one of 3 files"});
}

BOOST_AUTO_TEST_CASE(pointers_of_files_that_are_not_needed_do_no_harm) {
    const ModelFolder folder;
    for (const char* name :
         {"pytorch_model.bin", "consolidated.safetensors", "model.gguf", "tokenizer.model"})
        folder.write_text(name, lfs_pointer);
    folder.write_text("model.safetensors", "weights");
    folder.write_text("tokenizer.json", "{}");
    require_accepted(refusal_of(folder));
    std::filesystem::remove(folder.path() / "tokenizer.json");
    check_refused(refusal_of(folder), {"tokenizer.model", "lfs pull"});
}

BOOST_AUTO_TEST_CASE(pointers_of_pickled_weights_are_pointers_first) {
    const ModelFolder folder;
    folder.write_text("pytorch_model.bin", lfs_pointer);
    check_refused(refusal_of(folder), {"pytorch_model.bin", "lfs pull"});
}

BOOST_AUTO_TEST_CASE(adapter_is_named_with_its_base_model) {
    const ModelFolder folder;
    folder.write_text("adapter_model.safetensors", "");
    folder.write_text("adapter_config.json", R"({"base_model_name_or_path": "upstage/SOLAR-10.7B-v1.0"})");
    check_refused(refusal_of(folder),
                  {"LoRA adapter", "base model \"upstage/SOLAR-10.7B-v1.0\"", "merge_and_unload"});
    folder.write_text("adapter_config.json", "damaged");
    check_refused(refusal_of(folder), {"LoRA adapter", "its base model:"});
}

BOOST_AUTO_TEST_CASE(quantized_model_is_named_with_its_method) {
    const ModelFolder folder;
    folder.write_text("model.safetensors", "");
    const std::pair<const char*, const char*> cases[] = {
        {R"({"quant_method": "awq", "bits": 4})", "quantized with AWQ"},
        {R"({"quant_method": "gptq"})", "quantized with GPTQ"},
        {R"({"quant_method": "bitsandbytes"})", "quantized with \"bitsandbytes\""},
        {R"({"load_in_4bit": true})", "quantized with bitsandbytes"},
        {R"({"quant_method": "fp8"})", "quantized with \"fp8\""},
        {R"({"quant_method": 3})", "unknown method"},
        {"{}", "unknown method"}};
    for (const auto& [quantization, expected] : cases) {
        folder.write_text("config.json", "{\"quantization_config\": " + std::string(quantization) + "}");
        check_refused(refusal_of(folder), {"config.json", "quantization_config", expected, "original model"});
    }
}

BOOST_AUTO_TEST_CASE(folder_with_only_gguf_is_named) {
    const ModelFolder folder;
    folder.write_text("solar-10.7b.Q4_K_M.gguf", "GGUF");
    check_refused(refusal_of(folder),
                  {"GGUF file \"solar-10.7b.Q4_K_M.gguf\"", "safetensors", "original model"});
}

BOOST_AUTO_TEST_CASE(folder_with_only_pickled_weights_says_how_to_convert_them) {
    const ModelFolder folder;
    folder.write_text("config.json", "{}");
    folder.write_text("pytorch_model-00001-of-00002.bin", "");
    const std::string path = folder.path().string();
    check_refused(refusal_of(folder), {"pytorch_model*.bin", "from transformers import AutoModelForCausalLM",
                                       "'" + path + "'", "--model " + path + "-safetensors"});
    check_refused(result<void>(*why_not_servable(path + "/")), {"--model " + path + "-safetensors"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard
