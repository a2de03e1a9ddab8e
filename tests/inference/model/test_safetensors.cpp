#include "inference/model/safetensors.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include "tests/support/check_refused.hpp"
#include "tests/support/model_folder.hpp"

namespace solard {
namespace {

namespace json = boost::json;

TensorData tensor(std::string name, DType dtype, std::vector<std::int64_t> shape, std::size_t num_bytes,
                  unsigned first_byte = 0) {
    TensorData data{std::move(name), dtype, std::move(shape), std::vector<std::byte>(num_bytes)};
    for (std::byte& byte : data.bytes) byte = static_cast<std::byte>(first_byte++ & 0xFF);
    return data;
}

std::vector<TensorData> three_tensors() {
    return {tensor("b", DType::fp32, {2, 3}, 24, 100), tensor("a", DType::bf16, {4}, 8, 0),
            tensor("c", DType::fp16, {}, 2, 50)};
}

// Opens a folder whose model.safetensors has these bytes.
result<WeightSource> open_bytes(const std::string& bytes) {
    const ModelFolder folder;
    folder.write_text("model.safetensors", bytes);
    return WeightSource::open(folder.path());
}

// Opens a file with one tensor `x` that has this header entry, and `num_bytes` of data.
result<WeightSource> open_entry(std::string_view entry, std::size_t num_bytes) {
    return open_bytes(safetensors_file("{\"x\":" + std::string(entry) + "}", std::string(num_bytes, 'd')));
}

std::string with_length(std::uint64_t length, const std::string& rest) {
    std::string bytes = safetensors_file("", "");
    for (unsigned i = 0; i < 8; ++i) bytes[i] = static_cast<char>((length >> (8 * i)) & 0xFF);
    return bytes + rest;
}

std::vector<std::byte> bytes_of(const WeightSource& source, std::string_view name) {
    const TensorInfo* info = source.find(name);
    BOOST_REQUIRE(info != nullptr);
    std::vector<std::byte> bytes(info->num_bytes);
    require_accepted(source.read(*info, 0, bytes));
    return bytes;
}

BOOST_AUTO_TEST_SUITE(safetensors)

BOOST_AUTO_TEST_CASE(reads_one_file) {
    const ModelFolder folder;
    const auto tensors = three_tensors();
    folder.write_safetensors("model.safetensors", tensors);
    const auto source = WeightSource::open(folder.path());
    require_accepted(source);
    BOOST_TEST(source->num_tensors() == 3U);
    BOOST_TEST(source->find("d") == nullptr);
    for (const TensorData& written : tensors) {
        const TensorInfo* info = source->find(written.name);
        BOOST_REQUIRE(info != nullptr);
        BOOST_TEST(info->name == written.name);
        BOOST_TEST((info->dtype == written.dtype));
        BOOST_TEST(info->shape == written.shape);
        BOOST_TEST((bytes_of(*source, written.name) == written.bytes));
        BOOST_TEST(source->file_of(*info) == folder.path() / "model.safetensors");
    }
}

BOOST_AUTO_TEST_CASE(reads_any_range_of_a_tensor_and_nothing_beyond) {
    const ModelFolder folder;
    const auto tensors = three_tensors();
    folder.write_safetensors("model.safetensors", tensors);
    const auto source = WeightSource::open(folder.path());
    require_accepted(source);
    const TensorInfo& info = *source->find("b");
    for (std::size_t begin = 0; begin <= 24; ++begin) {
        for (std::size_t size = 0; begin + size <= 24; ++size) {
            std::vector<std::byte> part(size);
            require_accepted(source->read(info, begin, part));
            BOOST_TEST(std::equal(part.begin(), part.end(),
                                  tensors[0].bytes.begin() + static_cast<std::ptrdiff_t>(begin)));
        }
    }
    std::vector<std::byte> two(2);
    check_refused(source->read(info, 23, two), {"model.safetensors", "\"b\"", "24"});
    check_refused(source->read(info, 25, std::span<std::byte>()), {"\"b\""});
    check_refused(source->read(info, ~std::uint64_t{0}, two), {"\"b\""});
}

BOOST_AUTO_TEST_CASE(pointers_survive_a_move) {
    const ModelFolder folder;
    folder.write_safetensors("model.safetensors", three_tensors());
    auto source = WeightSource::open(folder.path());
    require_accepted(source);
    const TensorInfo* info = source->find("a");
    const WeightSource moved = std::move(*source);
    BOOST_TEST(moved.find("a") == info);
    BOOST_TEST((bytes_of(moved, "a") == three_tensors()[1].bytes));
}

BOOST_AUTO_TEST_CASE(reads_shards_and_follows_links_to_regular_files) {
    const ModelFolder blobs;
    const ModelFolder folder;
    blobs.write_safetensors("blob1", std::vector{three_tensors()[0]});
    folder.write_safetensors("two.safetensors", std::vector{three_tensors()[1], three_tensors()[2]});
    std::filesystem::create_symlink(blobs.path() / "blob1", folder.path() / "one.safetensors");
    folder.write_index({{"b", "one.safetensors"}, {"a", "two.safetensors"}, {"c", "two.safetensors"}});
    const auto source = WeightSource::open(folder.path());
    require_accepted(source);
    BOOST_TEST(source->num_tensors() == 3U);
    for (const TensorData& written : three_tensors()) {
        BOOST_TEST((bytes_of(*source, written.name) == written.bytes));
    }
    BOOST_TEST(source->file_of(*source->find("b")).filename() == "one.safetensors");
}

BOOST_AUTO_TEST_CASE(metadata_and_padding_are_allowed) {
    require_accepted(open_bytes(safetensors_file(
        R"({"__metadata__":{"format":"pt"},"x":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}   )",
        "dd")));
}

BOOST_AUTO_TEST_CASE(empty_tensors_need_no_data) {
    const auto source = open_bytes(safetensors_file(R"({"x":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},
        "e":{"dtype":"F16","shape":[0,9],"data_offsets":[2,2]},"f":{"dtype":"F16","shape":[0],"data_offsets":[0,0]}})",
                                                    "dd"));
    require_accepted(source);
    BOOST_TEST(source->find("e")->num_bytes == 0U);
}

BOOST_AUTO_TEST_CASE(every_truncation_is_refused) {
    const std::string whole = safetensors_file(three_tensors());
    for (std::size_t size = 0; size < whole.size(); ++size) {
        check_refused(open_bytes(whole.substr(0, size)), {"model.safetensors"});
    }
    require_accepted(open_bytes(whole));
}

BOOST_AUTO_TEST_CASE(cut_file_is_named_with_both_sizes_and_to_be_downloaded_again) {
    const std::string whole = safetensors_file(three_tensors());
    const std::string size = std::to_string(whole.size());
    for (const std::size_t missing : {std::size_t{1}, std::size_t{3}, std::size_t{10}, std::size_t{34}}) {
        const std::size_t left = whole.size() - missing;
        check_refused(open_bytes(whole.substr(0, left)),
                      {"model.safetensors", "has " + std::to_string(left) + " bytes, expected " + size,
                       "download it again"});
    }
    check_refused(open_bytes(whole.substr(0, 20)), {"has 20 bytes", "download it again"});  // in the header
}

BOOST_AUTO_TEST_CASE(wrong_header_lengths_are_refused) {
    const std::string rest = safetensors_file(three_tensors()).substr(8);
    for (const std::uint64_t length :
         {std::uint64_t{0}, std::uint64_t{7}, std::uint64_t{rest.size() + 1}, std::uint64_t{rest.size() + 8},
          std::uint64_t{100'000'001}, std::uint64_t{1} << 63, ~std::uint64_t{0}, ~std::uint64_t{0} - 7}) {
        check_refused(open_bytes(with_length(length, rest)), {"model.safetensors", "expected"});
    }
}

BOOST_AUTO_TEST_CASE(header_above_100_megabytes_is_refused_even_if_the_file_is_longer) {
    const ModelFolder folder;
    folder.write_text("model.safetensors", with_length(100'000'001, "{}"));
    std::filesystem::resize_file(folder.path() / "model.safetensors", 200'000'000);  // the file is sparse
    check_refused(WeightSource::open(folder.path()), {"header length", "100000001"});
}

BOOST_AUTO_TEST_CASE(headers_that_are_not_one_json_object_are_refused) {
    const std::string entry = R"({"dtype":"F16","shape":[1],"data_offsets":[0,2]})";
    const std::string object = "{\"x\":" + entry + "}";
    for (const std::string& header :
         {std::string("x"), std::string("[]"), std::string("{"), " " + object, object + "}", object + "\n{}",
          object + std::string(1, '\0'), std::string("{\"x\":") + std::string(1000, '['),
          "{\"x\":" + entry + ",}", std::string("{\"x\xFF\":") + entry + "}"}) {
        check_refused(open_bytes(safetensors_file(header, "dd")), {"model.safetensors", "expected"});
    }
    check_refused(open_bytes(safetensors_file("{}", "")), {"at least one tensor"});
}

BOOST_AUTO_TEST_CASE(duplicate_keys_are_refused) {
    const std::string entry = R"({"dtype":"F16","shape":[1],"data_offsets":[0,2]})";
    check_refused(open_bytes(safetensors_file("{\"x\":" + entry + ",\"x\":" + entry + "}", "dd")),
                  {"model.safetensors", "\"x\"", "twice"});
    check_refused(open_entry(R"({"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,2]})", 2),
                  {"\"dtype\"", "twice"});
    // Equal names in different objects are not duplicates.
    require_accepted(
        open_bytes(safetensors_file(R"({"__metadata__":{"x":"","dtype":""},"x":)" + entry + "}", "dd")));
}

BOOST_AUTO_TEST_CASE(overlaps_holes_and_trailing_bytes_are_refused) {
    const auto open_two = [](std::string_view second, std::size_t num_bytes) {
        return open_bytes(safetensors_file(
            R"({"x":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"y":)" + std::string(second) + "}",
            std::string(num_bytes, 'd')));
    };
    require_accepted(open_two(R"({"dtype":"F16","shape":[2],"data_offsets":[4,8]})", 8));
    check_refused(open_two(R"({"dtype":"F16","shape":[2],"data_offsets":[2,6]})", 6), {"\"y\"", "overlap"});
    check_refused(open_two(R"({"dtype":"F16","shape":[2],"data_offsets":[0,4]})", 4), {"overlap"});
    check_refused(open_two(R"({"dtype":"F16","shape":[1],"data_offsets":[1,3]})", 4), {"\"y\"", "overlap"});
    check_refused(open_two(R"({"dtype":"F16","shape":[0],"data_offsets":[2,2]})", 4), {"\"y\"", "overlap"});
    check_refused(open_two(R"({"dtype":"F16","shape":[2],"data_offsets":[6,10]})", 10), {"\"y\"", "hole"});
    check_refused(open_two(R"({"dtype":"F16","shape":[2],"data_offsets":[4,8]})", 9),
                  {"1 bytes after the last tensor"});
    check_refused(open_bytes(safetensors_file(three_tensors()) + "PK\x03\x04 a second file"),
                  {"after the last"});
    check_refused(open_entry(R"({"dtype":"F16","shape":[1],"data_offsets":[2,4]})", 4), {"\"x\"", "hole"});
}

BOOST_AUTO_TEST_CASE(invalid_offsets_are_refused) {
    for (const char* offsets :
         {"[2,0]", "[-2,0]", "[0,-2]", "[0,3]", "[0,9007199254740994]",
          "[9223372036854775806,9223372036854775807]", "[18446744073709551614,18446744073709551615]",
          "[18446744073709551616,18446744073709551618]", "[0.0,2.0]", "[0,2.0]", "[\"0\",\"2\"]", "[0]",
          "[0,2,2]", "[]", "null", "{}", "2", "[0,null]"}) {
        check_refused(
            open_entry(R"({"dtype":"F16","shape":[1],"data_offsets":)" + std::string(offsets) + "}", 2),
            {"model.safetensors", "\"x\"", "data_offsets"});
    }
}

BOOST_AUTO_TEST_CASE(shapes_that_do_not_fit_the_bytes_are_refused) {
    for (const char* shape :
         {"[2]", "[0]", "[1,2]", "[]x", "[-1]", "[1.0]", "[\"1\"]", "1", "null", "[null]", "[[1]]",
          "[9223372036854775807]", "[4294967296,4294967296]", "[9223372036854775809]",
          "[4611686018427387904,4,1]", "[2147483648,2147483648,2]", "[18446744073709551617]"}) {
        const auto outcome =
            open_entry(R"({"dtype":"F16","data_offsets":[0,2],"shape":)" + std::string(shape) + "}", 2);
        check_refused(outcome, {"model.safetensors"});
    }
    check_refused(open_entry(R"({"dtype":"F32","shape":[1],"data_offsets":[0,2]})", 2),
                  {"\"x\"", "span 2", "need 4"});
    check_refused(open_entry(R"({"dtype":"F16","shape":[1],"data_offsets":[0,4]})", 4),
                  {"\"x\"", "span 4", "need 2"});
    check_refused(open_entry(R"({"dtype":"F16","shape":[4294967296,4294967296],"data_offsets":[0,2]})", 2),
                  {"\"x\"", "overflow"});
}

BOOST_AUTO_TEST_CASE(unknown_dtypes_are_refused) {
    for (const char* dtype :
         {"\"F64\"", "\"I8\"", "\"F8_E4M3\"", "\"bf16\"", "\"\"", "null", "1", "[\"F16\"]"}) {
        check_refused(
            open_entry(R"({"shape":[1],"data_offsets":[0,2],"dtype":)" + std::string(dtype) + "}", 2),
            {"model.safetensors", "\"x\"", "dtype"});
    }
}

BOOST_AUTO_TEST_CASE(malformed_entries_are_refused) {
    for (const char* entry : {"null", "[]", "{}", "1", R"({"dtype":"F16","shape":[1]})",
                              R"({"dtype":"F16","data_offsets":[0,2]})",
                              R"({"dtype":"F16","shape":[1],"data_offsets":[0,2],"more":1})"}) {
        check_refused(open_entry(entry, 2), {"model.safetensors", "\"x\""});
    }
}

BOOST_AUTO_TEST_CASE(long_names_are_cut_and_escaped_in_errors) {
    const std::string name = std::string("a\\nb") + std::string(5000, 'c');
    const auto outcome = open_bytes(safetensors_file("{\"" + name + "\":null}", ""));
    check_refused(outcome, {"a\\nb", "..."});
    BOOST_TEST(outcome.error().message.size() < 600U);
}

BOOST_AUTO_TEST_CASE(folder_without_weights_is_refused) {
    const ModelFolder folder;
    check_refused(WeightSource::open(folder.path()), {"model.safetensors.index.json"});
    check_refused(WeightSource::open(folder.path() / "nowhere"), {"nowhere"});
}

BOOST_AUTO_TEST_CASE(anything_but_a_regular_file_is_refused) {
    const ModelFolder folder;
    const auto path = folder.path() / "model.safetensors";
    std::filesystem::create_directory(path);
    check_refused(WeightSource::open(folder.path()), {"model.safetensors", "regular file"});
    std::filesystem::remove(path);
    BOOST_REQUIRE(::mkfifo(path.c_str(), 0600) == 0);  // opening the pipe must not wait for a writer
    check_refused(WeightSource::open(folder.path()), {"model.safetensors", "regular file"});
    std::filesystem::remove(path);
    std::filesystem::create_symlink("/dev/zero", path);
    check_refused(WeightSource::open(folder.path()), {"model.safetensors", "regular file"});
}

BOOST_AUTO_TEST_CASE(index_may_name_only_files_of_its_folder) {
    const ModelFolder folder;
    folder.write_safetensors("one.safetensors", std::vector{three_tensors()[0]});
    const std::string elsewhere = (folder.path() / "one.safetensors").string();
    for (const std::string& name :
         {std::string("../one.safetensors"), elsewhere, std::string(".."), std::string("."), std::string(),
          std::string("./one.safetensors"), std::string("one.safetensors\0", 16)}) {
        folder.write_index({{"b", name}});
        check_refused(WeightSource::open(folder.path()),
                      {"model.safetensors.index.json", "\"b\"", "plain name"});
    }
    folder.write_index({{"b", "one.safetensors"}});
    require_accepted(WeightSource::open(folder.path()));
}

BOOST_AUTO_TEST_CASE(malformed_index_is_refused) {
    const ModelFolder folder;
    for (const char* text : {"", "[]", "{}", R"({"weight_map":[]})", R"({"weight_map":{"b":1}})",
                             R"({"weight_map":{"b":null}})", R"({"weight_map":{"b":"x","b":"y"}})"}) {
        folder.write_text("model.safetensors.index.json", text);
        check_refused(WeightSource::open(folder.path()), {"model.safetensors.index.json"});
    }
    folder.write_text("model.safetensors.index.json", R"({"weight_map":{}})");
    check_refused(WeightSource::open(folder.path()), {"at least one tensor"});
}

BOOST_AUTO_TEST_CASE(index_and_shards_must_agree) {
    const ModelFolder folder;
    folder.write_safetensors("one.safetensors", std::vector{three_tensors()[0]});
    folder.write_index({{"b", "one.safetensors"}, {"a", "two.safetensors"}});
    check_refused(WeightSource::open(folder.path()),
                  {"model.safetensors.index.json: names 2 files", "of which 1 are not in the folder",
                   "\"two.safetensors\"", "the download is not complete"});

    folder.write_safetensors("two.safetensors", std::vector{three_tensors()[2]});
    check_refused(WeightSource::open(folder.path()), {"index.json", "\"a\"", "two.safetensors"});

    folder.write_safetensors("two.safetensors", std::vector{three_tensors()[1], three_tensors()[0]});
    check_refused(WeightSource::open(folder.path()), {"\"b\"", "one.safetensors", "two.safetensors"});

    // Each tensor exists, but not in the file that the index names.
    folder.write_safetensors("two.safetensors", std::vector{three_tensors()[1]});
    folder.write_index({{"b", "two.safetensors"}, {"a", "one.safetensors"}});
    check_refused(WeightSource::open(folder.path()), {"index.json"});
}

BOOST_AUTO_TEST_CASE(reading_a_file_that_shrank_is_an_error_and_not_a_signal) {
    const ModelFolder folder;
    folder.write_safetensors("model.safetensors", three_tensors());
    const auto source = WeightSource::open(folder.path());
    require_accepted(source);
    const auto path = folder.path() / "model.safetensors";
    std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
    const TensorInfo& last = *source->find("c");
    std::vector<std::byte> bytes(last.num_bytes);
    check_refused(source->read(last, 0, bytes), {"model.safetensors", "ends at byte"});
    BOOST_TEST((bytes_of(*source, "a") == three_tensors()[1].bytes));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard
