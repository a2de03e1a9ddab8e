#include "inference/model/safetensors.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstring>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "inference/model/json_file.hpp"

namespace solard {
namespace {

namespace json = boost::json;

static_assert(std::endian::native == std::endian::little,
              "safetensors files are little endian, so only little-endian machines are supported");

// These are the limits of the format itself (https://github.com/huggingface/safetensors, "Format").
constexpr std::uint64_t length_bytes = 8;
constexpr std::uint64_t max_header_bytes = 100'000'000;

Error tensor_error(const std::filesystem::path& file, std::string_view name, std::string_view what) {
    return bad_model(file, "tensor " + quoted_name(name) + ": " + std::string(what));
}

std::optional<DType> parse_dtype(const json::value* value) {
    if (value == nullptr) return std::nullopt;
    if (*value == "BF16") return DType::bf16;
    if (*value == "F16") return DType::fp16;
    if (*value == "F32") return DType::fp32;
    return std::nullopt;
}

std::optional<std::vector<std::int64_t>> parse_integers(const json::value* value) {
    if (value == nullptr || !value->is_array()) return std::nullopt;
    std::vector<std::int64_t> integers;
    for (const json::value& element : value->get_array()) {
        const auto integer = non_negative_integer(element);
        if (!integer) return std::nullopt;
        integers.push_back(*integer);
    }
    return integers;
}

// Returns product(shape) * size_of(dtype), or nothing if this product needs more than 64 bits.
std::optional<std::uint64_t> num_bytes_of(const std::vector<std::int64_t>& shape, DType dtype) {
    std::uint64_t bytes = size_of(dtype);
    for (const std::int64_t size : shape) {
        if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes)) return std::nullopt;
    }
    return bytes;
}

// Parses one entry of a header. `data_begin` is the offset of the file's first byte of data. The tensor may
// lie beyond the end of the file.
result<TensorInfo> parse_tensor(const ModelFile& file, std::string_view name, const json::value& entry,
                                std::uint64_t data_begin) {
    const auto fail = [&](std::string_view what) { return tensor_error(file.path(), name, what); };
    const json::object* object = entry.if_object();
    if (object == nullptr || object->size() != 3) {
        return fail("the entry is wrong, expected an object with exactly dtype, shape and data_offsets");
    }
    const auto dtype = parse_dtype(object->if_contains("dtype"));
    if (!dtype) return fail("dtype is missing or not supported, expected BF16, F16 or F32");
    auto shape = parse_integers(object->if_contains("shape"));
    if (!shape) return fail("shape is missing or wrong, expected a list of non-negative integers");
    const auto num_bytes = num_bytes_of(*shape, *dtype);
    if (!num_bytes) return fail("its shape needs more bytes than 64 bits can count (overflow)");
    const auto offsets = parse_integers(object->if_contains("data_offsets"));
    if (!offsets || offsets->size() != 2)
        return fail("data_offsets is missing or wrong, expected two non-negative integers");
    const auto begin = static_cast<std::uint64_t>((*offsets)[0]);
    const auto end = static_cast<std::uint64_t>((*offsets)[1]);
    if (begin > end) {
        return fail("data_offsets are " + std::to_string(begin) + " and " + std::to_string(end) +
                    ", expected an ascending range");
    }
    if (end - begin != *num_bytes) {
        return fail("data_offsets span " + std::to_string(end - begin) +
                    " bytes, but its shape and dtype need " + std::to_string(*num_bytes));
    }
    TensorInfo tensor;
    tensor.name = name;
    tensor.dtype = *dtype;
    tensor.shape = std::move(*shape);
    tensor.offset = data_begin + begin;
    tensor.num_bytes = *num_bytes;
    return tensor;
}

// A file that was cut is the most frequent damage: a download was stopped, or the disk was full.
Error cut_file(const ModelFile& file, std::uint64_t expected) {
    return bad_model(file.path(),
                     "has " + std::to_string(file.size()) + " bytes, expected " + std::to_string(expected) +
                         " according to its header: the file is not complete, download it again");
}

// Sorts the tensors by offset. Checks that there is no overlap or hole between them, and that the last tensor
// ends at the end of the file. Bytes that belong to no tensor could hide a second file.
result<void> check_layout(const ModelFile& file, std::vector<TensorInfo>& tensors, std::uint64_t data_begin) {
    std::ranges::sort(tensors, {}, [](const TensorInfo& t) { return std::pair(t.offset, t.num_bytes); });
    std::uint64_t expected = data_begin;
    for (const TensorInfo& tensor : tensors) {
        if (tensor.offset != expected) {
            return tensor_error(file.path(), tensor.name,
                                "begins at byte " + std::to_string(tensor.offset - data_begin) +
                                    " of the data, expected " + std::to_string(expected - data_begin) +
                                    (tensor.offset < expected ? " (overlap)" : " (hole)"));
        }
        expected += tensor.num_bytes;
    }
    if (expected > file.size()) return cut_file(file, expected);
    if (expected < file.size()) {
        return bad_model(file.path(), "has " + std::to_string(file.size() - expected) +
                                          " bytes after the last tensor, expected none");
    }
    return {};
}

result<std::vector<TensorInfo>> read_tensor_table(const ModelFile& file) {
    if (file.size() < length_bytes)
        return bad_model(file.path(),
                         "has " + std::to_string(file.size()) +
                             " bytes, which is too short for a safetensors file; download it again");
    std::array<std::byte, length_bytes> length{};
    if (const auto done = file.read(0, length); !done) return done.error();
    const auto header_size = std::bit_cast<std::uint64_t>(length);
    if (header_size > max_header_bytes) {
        return bad_model(file.path(), "header length is " + std::to_string(header_size) +
                                          ", expected at most 100000000; the file is damaged or not in the "
                                          "format safetensors, download it again");
    }
    if (header_size > file.size() - length_bytes) return cut_file(file, length_bytes + header_size);
    std::string header(header_size, '\0');
    if (const auto done = file.read(length_bytes, std::as_writable_bytes(std::span(header))); !done) {
        return done.error();
    }
    if (!header.starts_with('{'))
        return bad_model(file.path(), "the header is wrong, expected a header that begins with {");
    const auto entries = parse_json_object(header, file.path());
    if (!entries) return entries.error();

    const std::uint64_t data_begin = length_bytes + header_size;
    std::vector<TensorInfo> tensors;
    for (const auto& [name, entry] : *entries) {
        if (name == "__metadata__") continue;
        auto tensor = parse_tensor(file, name, entry, data_begin);
        if (!tensor) return tensor.error();
        tensors.push_back(std::move(*tensor));
    }
    if (const auto done = check_layout(file, tensors, data_begin); !done) return done.error();
    return tensors;
}

bool is_plain_file_name(std::string_view name) {
    constexpr std::string_view forbidden("/\0", 2);
    return !name.empty() && name != "." && name != ".." &&
           name.find_first_of(forbidden) == std::string_view::npos;
}

// Reads the map from tensor name to file name in model.safetensors.index.json.
result<std::map<std::string, std::string>> read_weight_map(const std::filesystem::path& file) {
    const auto index = read_json_file(file);
    if (!index) return index.error();
    const json::value* weight_map = index->if_contains("weight_map");
    if (weight_map == nullptr || !weight_map->is_object()) {
        return bad_model(file, "weight_map is missing or wrong, expected an object");
    }
    std::map<std::string, std::string> file_of_tensor;
    for (const auto& [name, shard] : weight_map->get_object()) {
        if (!shard.is_string() || !is_plain_file_name(shard.get_string())) {
            return tensor_error(file, name,
                                "the file name is wrong, expected the plain name of a file in this folder");
        }
        file_of_tensor.emplace(name, shard.get_string());
    }
    return file_of_tensor;
}

}  // namespace

result<void> WeightSource::add_shard(const std::filesystem::path& path) {
    auto file = ModelFile::open(path);
    if (!file) return file.error();
    auto tensors = read_tensor_table(*file);
    if (!tensors) return tensors.error();
    for (TensorInfo& tensor : *tensors) {
        tensor.shard = shards_.size();
        const auto [other, inserted] = tensors_.try_emplace(tensor.name, tensor);
        if (!inserted) {
            return tensor_error(path, tensor.name,
                                "is also in " + file_of(other->second).filename().string());
        }
    }
    shards_.push_back(std::move(*file));
    return {};
}

result<void> WeightSource::add_indexed_shards(const std::filesystem::path& index) {
    const auto file_of_tensor = read_weight_map(index);
    if (!file_of_tensor) return file_of_tensor.error();
    std::set<std::string> names;
    for (const auto& [tensor, name] : *file_of_tensor) names.insert(name);
    const std::filesystem::path folder = index.parent_path();
    std::vector<std::string> missing;
    std::error_code ec;
    std::ranges::copy_if(names, std::back_inserter(missing), [&](const std::string& name) {
        return !std::filesystem::exists(folder / name, ec);
    });
    if (!missing.empty()) {
        return bad_model(index, "names " + std::to_string(names.size()) + " files, of which " +
                                    std::to_string(missing.size()) + " are not in the folder, such as " +
                                    quoted_name(missing.front()) +
                                    "; the download is not complete: start it again");
    }
    for (const std::string& name : names) {
        if (const auto done = add_shard(folder / name); !done) return done;
    }
    for (const auto& [tensor, name] : *file_of_tensor) {
        const TensorInfo* found = find(tensor);
        if (found == nullptr || file_of(*found).filename() != name) {
            return tensor_error(index, tensor,
                                "is not in " + quoted_name(name) + ", the file that the index names for it");
        }
    }
    return {};
}

result<WeightSource> WeightSource::open(const std::filesystem::path& folder) {
    const std::filesystem::path single = folder / "model.safetensors";
    const std::filesystem::path index = folder / "model.safetensors.index.json";
    std::error_code ec;
    WeightSource source;
    if (!std::filesystem::exists(single, ec) && !std::filesystem::exists(index, ec)) {
        return bad_model(folder,
                         "has no weights, expected a file model.safetensors or model.safetensors.index.json");
    }
    const auto done =
        std::filesystem::exists(single, ec) ? source.add_shard(single) : source.add_indexed_shards(index);
    if (!done) return done.error();
    if (source.tensors_.empty()) return bad_model(folder, "has no tensors, expected at least one tensor");
    return source;
}

const TensorInfo* WeightSource::find(std::string_view name) const {
    const auto it = tensors_.find(name);
    return it == tensors_.end() ? nullptr : &it->second;
}

result<void> WeightSource::read(const TensorInfo& tensor, std::uint64_t begin,
                                std::span<std::byte> out) const {
    const ModelFile& file = shards_[tensor.shard];
    if (begin > tensor.num_bytes || out.size() > tensor.num_bytes - begin) {
        return tensor_error(file.path(), tensor.name,
                            "cannot read " + std::to_string(out.size()) + " bytes from byte " +
                                std::to_string(begin) + " on, the tensor has " +
                                std::to_string(tensor.num_bytes) + " bytes");
    }
    auto done = file.read(tensor.offset + begin, out);
    if (done) file.drop_cache(tensor.offset + begin, out.size());
    return done;
}

const std::filesystem::path& WeightSource::file_of(const TensorInfo& tensor) const {
    return shards_[tensor.shard].path();
}

std::size_t WeightSource::num_tensors() const {
    return tensors_.size();
}

}  // namespace solard
