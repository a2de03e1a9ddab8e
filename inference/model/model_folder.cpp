#include "inference/model/model_folder.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "inference/model/json_file.hpp"
#include "inference/model/model_file.hpp"

namespace solard {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

// ---- the Hugging Face cache

bool is_folder(const fs::path& path) {
    std::error_code ec;
    return fs::is_directory(path, ec);
}

bool is_there(const fs::path& path) {
    std::error_code ec;
    return fs::exists(path, ec);
}

// Returns true if `name` can be a part of a path and stays in its folder: letters, digits, '.', '_' and '-',
// but no '.' or '-' at an end.
bool is_plain_name(std::string_view name) {
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    return !name.empty() && name.find_first_not_of(std::string(letters) + ".-") == std::string_view::npos &&
           letters.find(name.front()) != std::string_view::npos &&
           letters.find(name.back()) != std::string_view::npos;
}

// Returns the name of the folder in a cache for the model ORG/NAME, or nothing if `name` has another form.
// The rules are those of the Hub, which forbids "--" because it separates the parts of the folder's name.
std::optional<std::string> cache_entry_of(std::string_view name) {
    constexpr std::size_t max_bytes = 96;
    const std::size_t slash = name.find('/');
    if (slash == std::string_view::npos || name.size() > max_bytes) return std::nullopt;
    const std::string_view org = name.substr(0, slash);
    const std::string_view model = name.substr(slash + 1);
    const bool is_valid = is_plain_name(org) && is_plain_name(model) &&
                          name.find("--") == std::string_view::npos &&
                          name.find("..") == std::string_view::npos;
    if (!is_valid) return std::nullopt;
    return std::string("models--").append(org).append("--").append(model);
}

// Returns the first line of a small file, or an empty text if the file cannot be read.
std::string first_line(const fs::path& file) {
    constexpr std::uint64_t max_bytes = 256;
    const auto text = read_model_file(file, max_bytes);
    return text ? text->substr(0, text->find_first_of("\r\n")) : std::string();
}

// Returns the sorted names of everything in the folder.
std::vector<std::string> names_in(const fs::path& folder) {
    std::vector<std::string> names;
    std::error_code ec;
    for (fs::directory_iterator entry(folder, ec), end; !ec && entry != end; entry.increment(ec))
        names.push_back(entry->path().filename().string());
    std::ranges::sort(names);
    return names;
}

// Returns the folder of a model's version `main`, given the model's folder in a cache.
result<fs::path> main_snapshot(const fs::path& entry) {
    const fs::path snapshots = entry / "snapshots";
    const std::string main = first_line(entry / "refs" / "main");
    if (is_plain_name(main) && is_folder(snapshots / main)) return snapshots / main;
    std::vector<std::string> versions = names_in(snapshots);
    std::erase_if(versions, [&](const std::string& name) { return !is_folder(snapshots / name); });
    if (versions.size() == 1) return snapshots / versions.front();
    if (versions.empty())
        return bad_model(entry,
                         "is a folder of the Hugging Face cache without any version of the model; "
                         "download the model with hf download");
    std::string message =
        "is a folder of the Hugging Face cache that does not say which version is main; "
        "name the version:";
    for (const std::string& version : versions)
        message += " --model " + (snapshots / version).string() + (version == versions.back() ? "" : " or");
    return bad_model(entry, message);
}

// Returns an error if `folder` is a cache, or the folder above one, instead of a model's folder in it.
std::optional<Error> check_whole_cache(const fs::path& folder) {
    constexpr std::size_t max_shown = 5;
    const fs::path hub = is_folder(folder / "hub") ? folder / "hub" : folder;
    std::vector<std::string> entries = names_in(hub);
    std::erase_if(entries, [&](const std::string& name) {
        return !name.starts_with("models--") || !is_folder(hub / name / "snapshots");
    });
    if (entries.empty()) return std::nullopt;
    std::string message = "is a Hugging Face cache, expected the folder of one model; it has:";
    for (std::size_t i = 0; i < std::min(entries.size(), max_shown); ++i)
        message += (i == 0 ? " --model " : " or --model ") + (hub / entries[i]).string();
    if (entries.size() > max_shown) message += " and " + std::to_string(entries.size() - max_shown) + " more";
    return bad_model(folder, message);
}

Error not_found(const std::string& name, const fs::path& hub_cache) {
    if (!cache_entry_of(name))
        return bad_model(name,
                         "does not exist, expected a model folder, or a name such as "
                         "upstage/SOLAR-10.7B-Instruct-v1.0");
    const std::string local = name.substr(name.find('/') + 1);
    const std::string cache = hub_cache.empty()
                                  ? "no Hugging Face cache was searched, because HF_HOME and HOME are not set"
                                  : "the Hugging Face cache " + hub_cache.string() + " has no such model";
    return bad_model(name, "is not a folder, and " + cache + "; to download it, type: hf download " + name +
                               " --local-dir " + local + ", then start with --model " + local);
}

// ---- folders which cannot be served

constexpr std::string_view gguf_advice =
    "; solard reads safetensors: serve the folder of the original model, from which this file was made";

bool has_weights(const fs::path& folder) {
    return is_there(folder / "model.safetensors") || is_there(folder / "model.safetensors.index.json");
}

bool is_pickle(const std::string& name) {
    return name.starts_with("pytorch_model") && name.ends_with(".bin");
}

// Returns true for a file that is needed to serve the folder. People often download only these files and
// leave the others as pointers.
bool is_needed(const fs::path& folder, const std::string& name) {
    if (name == "tokenizer.model") return !is_there(folder / "tokenizer.json");
    if (is_pickle(name)) return !has_weights(folder);
    return (name.starts_with("model") && name.ends_with(".safetensors")) || name.ends_with(".json") ||
           name.ends_with(".jinja");
}

std::optional<Error> check_lfs_pointers(const fs::path& folder, const std::vector<std::string>& names) {
    constexpr std::uint64_t max_pointer_bytes = 1024;
    std::vector<std::string> pointers;
    for (const std::string& name : names) {
        if (!is_needed(folder, name)) continue;
        const auto text = read_model_file(folder / name, max_pointer_bytes);
        if (text && text->starts_with("version https://git-lfs")) pointers.push_back(name);
    }
    if (pointers.empty()) return std::nullopt;
    const std::string what = pointers.size() == 1 ? "is only a pointer of Git LFS"
                                                  : "is one of " + std::to_string(pointers.size()) +
                                                        " files that are only pointers of Git LFS";
    return bad_model(folder / pointers.front(),
                     what + "; to download the contents, type: git -C " + folder.string() + " lfs pull");
}

std::optional<Error> check_adapter(const fs::path& folder) {
    const fs::path file = folder / "adapter_config.json";
    if (!is_there(file) || has_weights(folder)) return std::nullopt;
    std::string base = "its base model";
    if (const auto object = read_json_file(file)) {
        const json::value* name = object->if_contains("base_model_name_or_path");
        if (name != nullptr && name->is_string()) base += " " + quoted_name(name->get_string());
    }
    const std::string path = folder.string();
    return bad_model(folder, "is a LoRA adapter and not a whole model; merge it into " + base +
                                 ": python3 -c \"from peft import AutoPeftModelForCausalLM as M; "
                                 "M.from_pretrained('" +
                                 path + "', torch_dtype='auto').merge_and_unload().save_pretrained('" + path +
                                 "-merged')\", copy the tokenizer's files there and serve that folder");
}

std::optional<Error> check_quantization(const fs::path& folder) {
    const fs::path file = folder / "config.json";
    const auto config = read_json_file(file);
    if (!config) return std::nullopt;  // load_model_config() says what is wrong
    const json::value* value = config->if_contains("quantization_config");
    const json::object* quantization = value == nullptr ? nullptr : value->if_object();
    if (quantization == nullptr) return std::nullopt;
    const json::value* method = quantization->if_contains("quant_method");
    std::string name = "an unknown method";
    if (method != nullptr && *method == "awq") {
        name = "AWQ";
    } else if (method != nullptr && *method == "gptq") {
        name = "GPTQ";
    } else if (method != nullptr && method->is_string()) {
        name = quoted_name(method->get_string());
    } else if (quantization->contains("load_in_4bit") || quantization->contains("load_in_8bit")) {
        name = "bitsandbytes";  // its older files have no quant_method
    }
    return bad_model(file,
                     "quantization_config says that the model is quantized with " + name +
                         ", which is not supported; serve the original model, whose weights have 16 bits");
}

std::optional<Error> check_other_formats(const fs::path& folder, const std::vector<std::string>& names) {
    if (has_weights(folder)) return std::nullopt;
    for (const std::string& name : names) {
        if (name.ends_with(".gguf"))
            return bad_model(folder, "has its weights only in the GGUF file " + quoted_name(name) +
                                         std::string(gguf_advice));
    }
    if (std::ranges::none_of(names, is_pickle)) return std::nullopt;
    const std::string path = folder.string();
    const std::string target = path + "-safetensors";
    return bad_model(folder,
                     "has its weights only in pytorch_model*.bin, and solard reads safetensors; to convert "
                     "them, type: python3 -c \"from transformers import AutoModelForCausalLM as M, "
                     "AutoTokenizer as T; M.from_pretrained('" +
                         path + "', torch_dtype='auto').save_pretrained('" + target +
                         "'); T.from_pretrained('" + path + "').save_pretrained('" + target +
                         "')\", then start with --model " + target);
}

}  // namespace

fs::path hub_cache_folder() {
    const auto variable = [](const char* name) {
        const char* value = std::getenv(name);
        return std::string(value == nullptr ? "" : value);
    };
    const std::string home = variable("HOME");
    // The Hugging Face libraries replace a leading ~ too, which a shell leaves alone in a quoted value.
    const auto expanded = [&](const std::string& path) {
        const bool is_below_home = path == "~" || path.starts_with("~/");
        return fs::path(is_below_home && !home.empty() ? home + path.substr(1) : path);
    };
    if (const auto cache = variable("HF_HUB_CACHE"); !cache.empty()) return expanded(cache);
    if (const auto hf_home = variable("HF_HOME"); !hf_home.empty()) return expanded(hf_home) / "hub";
    if (const auto caches = variable("XDG_CACHE_HOME"); !caches.empty())
        return expanded(caches) / "huggingface" / "hub";
    if (!home.empty()) return fs::path(home) / ".cache" / "huggingface" / "hub";
    return {};
}

result<fs::path> find_model_folder(const std::string& name, const fs::path& hub_cache) {
    fs::path path = name;
    if (is_folder(path)) {
        if (is_there(path / "config.json")) return path;
        if (is_folder(path / "snapshots")) return main_snapshot(path);
        if (auto error = check_whole_cache(path)) return *error;
        return path;
    }
    if (is_there(path)) {
        if (name.ends_with(".gguf")) return bad_model(path, "is a GGUF file" + std::string(gguf_advice));
        return bad_model(path, "is a file, expected the folder in which the model's files are");
    }
    const auto entry = cache_entry_of(name);
    if (entry && !hub_cache.empty() && is_folder(hub_cache / *entry / "snapshots"))
        return main_snapshot(hub_cache / *entry);
    return not_found(name, hub_cache);
}

std::optional<Error> why_not_servable(const fs::path& path) {
    if (!is_folder(path)) return bad_model(path, "is not a folder, expected a model folder");
    const fs::path folder = (path / "").parent_path();  // without a slash at the end, for use in commands
    const std::vector<std::string> names = names_in(folder);
    if (auto error = check_lfs_pointers(folder, names)) return error;
    if (auto error = check_adapter(folder)) return error;
    if (auto error = check_quantization(folder)) return error;
    return check_other_formats(folder, names);
}

}  // namespace solard
