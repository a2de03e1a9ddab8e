// cuBLASLt plans: right for every number of rows, chosen as asked, remembered on disk. On the emulated
// device, whose library proposes algorithms that can be told apart.
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <fstream>

#include "cuda/gemm.hpp"
#include "tests/cuda/device_arrays.hpp"
#include "tests/cuda/device_library.hpp"
#include "tests/support/count_allocations.hpp"

namespace solard::cuda {
namespace {

namespace data = boost::unit_test::data;

std::filesystem::path fresh_folder(const std::string& name) {
    const auto folder =
        std::filesystem::path(SOLARD_TEST_BUILD_DIR) / ("gemm_" + name + "_" + std::to_string(getpid()));
    std::filesystem::remove_all(folder);
    return folder;
}

std::filesystem::path only_file_of(const std::filesystem::path& folder) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) return entry.path();
    return {};
}

const std::vector<DType> compute_types = {DType::bf16, DType::fp16};

BOOST_AUTO_TEST_SUITE(gemm)

BOOST_DATA_TEST_CASE(products_are_right_for_any_number_of_rows, data::make(compute_types), type) {
    constexpr std::int32_t n = 96;
    constexpr std::int32_t k = 200;
    constexpr std::int32_t max_rows = 130;
    std::mt19937_64 random(1);
    const Halves w = random_halves(type, n * k, random);
    const Halves x = random_halves(type, max_rows * k, random);
    const auto device_w = on_device(w);
    const auto device_x = on_device(x);
    Stream stream;
    for (const bool logits : {false, true}) {
        const std::int32_t stride = logits ? n + 4 : n;
        Gemm products(device_library(), type, max_rows, false, {});
        const auto id = products.add(
            {.n = n, .k = k, .out = logits ? DType::fp32 : type, .out_stride = stride}, {device_w.data()});
        products.tune(stream);
        for (const std::int32_t m : {1, 2, 7, 8, 9, 63, 64, 65, 129, 130}) {
            DeviceBuffer<std::uint16_t> halves(static_cast<std::size_t>(m * stride));
            DeviceBuffer<float> floats(static_cast<std::size_t>(m * stride));
            products.run(id, device_x.data(), device_w.data(),
                         logits ? static_cast<void*>(floats.data()) : halves.data(), m, stream);
            stream.synchronize();
            const Halves as_halves = on_host(halves);
            const std::vector<float> as_floats = on_host(floats);
            for (std::int32_t row = 0; row < m; ++row) {
                for (std::int32_t column = 0; column < n; ++column) {
                    double expected = 0;
                    double magnitude = 0;
                    for (std::int32_t i = 0; i < k; ++i) {
                        const double term =
                            static_cast<double>(float_of(type, x[static_cast<std::size_t>(row * k + i)])) *
                            float_of(type, w[static_cast<std::size_t>(column * k + i)]);
                        expected += term;
                        magnitude += std::abs(term);
                    }
                    const auto at = static_cast<std::size_t>(row * stride + column);
                    const double value = logits ? as_floats[at] : float_of(type, as_halves[at]);
                    const double rounding =
                        logits ? 0 : std::abs(expected) * (type == DType::bf16 ? 0x1p-8 : 0x1p-11);
                    BOOST_REQUIRE_SMALL(value - expected, rounding + magnitude * 2e-6 + 1e-6);
                }
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(a_run_allocates_nothing_and_a_wrong_call_is_an_error) {
    const auto w = on_device(Halves(64 * 64));
    const auto x = on_device(Halves(8 * 64));
    DeviceBuffer<std::uint16_t> d(8 * 64);
    Stream stream;
    Gemm products(device_library(), DType::bf16, 8, false, {});
    const auto id = products.add({.n = 64, .k = 64, .out = DType::bf16, .out_stride = 64}, {w.data()});
    products.tune(stream);
    products.run(id, x.data(), w.data(), d.data(), 8, stream);
    stream.synchronize();
    if (!device_is_emulated()) {
        const std::uint64_t before = num_allocations();
        for (std::int32_t m = 1; m <= 8; ++m) products.run(id, x.data(), w.data(), d.data(), m, stream);
        BOOST_TEST(num_allocations() == before);
        return;
    }
    // One row more than x has, by an address that is one row further.
    BOOST_CHECK_THROW(products.run(id, x.data() + 64, w.data(), d.data(), 8, stream), DeviceError);
}

// ---- which algorithm

struct OneProduct {
    DeviceBuffer<std::uint16_t> w{64 * 64};
    Stream stream;

    std::vector<GemmChoice> choose(bool deterministic, const std::filesystem::path& cache = {}) {
        Gemm products(device_library(), DType::bf16, 256, deterministic, cache);
        products.add({.n = 64, .k = 64, .out = DType::bf16, .out_stride = 64}, {w.data()});
        products.tune(stream);
        return products.choices();
    }
};

BOOST_AUTO_TEST_CASE(deterministic_mode_has_one_algorithm_and_never_splits_k) {
    OneProduct product;
    propose_algorithms(4);
    for (const GemmChoice& choice : product.choose(true)) BOOST_TEST(choice.split_k == 1);
    propose_algorithms(1);
    const auto choices = product.choose(true);
    BOOST_TEST(choices.back().rows == 256);
    BOOST_TEST(choices.size() > 8);
}

// Whatever the file says.
BOOST_AUTO_TEST_CASE(deterministic_mode_takes_no_remembered_algorithm_that_splits_k) {
    if (!device_is_emulated()) return;
    const auto cache = fresh_folder("splitting");
    OneProduct product;
    propose_algorithms(4);
    product.choose(true, cache);
    const auto file = only_file_of(cache);
    std::string text;
    std::getline(std::ifstream(file), text, '\0');
    const auto colon = text.find(" : ");
    BOOST_REQUIRE(colon != std::string::npos);
    std::ofstream(file, std::ios::trunc) << text.substr(0, colon) << " : 1 1 0 0 0 0 0 0 0\n";
    for (const GemmChoice& choice : product.choose(true, cache)) BOOST_TEST(choice.split_k == 1);
    propose_algorithms(1);
    std::filesystem::remove_all(cache);
}

BOOST_AUTO_TEST_CASE(what_was_measured_is_remembered) {
    if (!device_is_emulated()) return;
    const auto cache = fresh_folder("remembered");
    OneProduct product;
    propose_algorithms(4);
    const std::uint64_t before = products_computed();
    product.choose(false, cache);
    const std::uint64_t measured = products_computed() - before;
    BOOST_TEST(measured > 0);
    product.choose(false, cache);
    BOOST_TEST(products_computed() - before == measured);
    // Another mode is another choice.
    product.choose(true, cache);
    BOOST_TEST(products_computed() - before > measured);
    propose_algorithms(1);
    std::filesystem::remove_all(cache);
}

BOOST_AUTO_TEST_CASE(a_damaged_or_foreign_cache_is_measured_again) {
    if (!device_is_emulated()) return;
    const auto cache = fresh_folder("damaged");
    OneProduct product;
    propose_algorithms(4);
    product.choose(false, cache);
    const auto file = only_file_of(cache);
    std::string text;
    std::getline(std::ifstream(file), text, '\0');
    const auto key_end = text.find(" : ");
    const std::string damages[] = {"", "garbage\n : \n", text.substr(0, text.size() / 2),
                                   text.substr(0, key_end) + " : 1 99 0 0 0 0 0 0 0\n"};
    for (const std::string& damage : damages) {
        std::ofstream(file, std::ios::trunc) << damage;
        const std::uint64_t before = products_computed();
        const auto choices = product.choose(false, cache);
        BOOST_TEST(products_computed() > before);
        for (const GemmChoice& choice : choices) BOOST_TEST(choice.split_k >= 1);
    }
    propose_algorithms(1);
    std::filesystem::remove_all(cache);
}

BOOST_AUTO_TEST_CASE(a_folder_that_cannot_be_written_is_no_error) {
    OneProduct product;
    product.choose(false, "/proc/no/such/folder");
}

BOOST_AUTO_TEST_CASE(the_cache_lives_where_the_environment_says) {
    const char* const before = std::getenv("XDG_CACHE_HOME");
    setenv("XDG_CACHE_HOME", "/tmp/elsewhere", 1);
    BOOST_TEST(default_cache_folder() == std::filesystem::path("/tmp/elsewhere/solard"));
    setenv("CACHE_DIRECTORY", "/var/cache/solard:/another", 1);
    BOOST_TEST(default_cache_folder() == std::filesystem::path("/var/cache/solard"));
    unsetenv("CACHE_DIRECTORY");
    before == nullptr ? unsetenv("XDG_CACHE_HOME") : setenv("XDG_CACHE_HOME", before, 1);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(cublaslt)

BOOST_AUTO_TEST_CASE(a_library_that_is_not_there_is_named_with_every_place) {
    const auto missing = CublasLt::open("/no/such/folder/libcublasLt.so.13");
    BOOST_REQUIRE(!missing);
    BOOST_TEST((missing.error().code == errc::device_unavailable));
    BOOST_TEST(missing.error().message.find("/no/such/folder/libcublasLt.so.13") != std::string::npos);
    BOOST_TEST(missing.error().message.find("--cublaslt") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(another_library_is_refused_by_what_it_lacks) {
    const auto other = CublasLt::open("libm.so.6");
    BOOST_REQUIRE(!other);
    BOOST_TEST(other.error().message.find("libm.so.6 has no cublasLt") != std::string::npos);
}

// The toolkit's own library, where it is installed: opening it needs no device.
BOOST_AUTO_TEST_CASE(the_real_library_is_opened_by_its_folder) {
    const auto folder = std::filesystem::path(SOLARD_SOURCE_DIR) / "build/cuda/nvidia/cu13/lib";
    if (!std::filesystem::exists(folder / "libcublasLt.so.13")) return;
    const auto library = CublasLt::open(folder);
    BOOST_REQUIRE(library);
    BOOST_TEST(library->get_version() >= 130000U);
    BOOST_TEST(library->file == std::filesystem::canonical(folder / "libcublasLt.so.13").string());
    BOOST_TEST(library->description().starts_with("cuBLASLt 13."));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::cuda
