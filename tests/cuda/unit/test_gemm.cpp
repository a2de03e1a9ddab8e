// Tests products by cuBLASLt: they are correct for every number of rows, they use the right algorithm, and
// the measured algorithms are remembered on disk. The emulated library proposes algorithms that tests can
// tell apart.
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <fstream>

#include "cuda/gemm.hpp"
#include "tests/cuda/unit/device_arrays.hpp"
#include "tests/cuda/unit/device_library.hpp"
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

BOOST_DATA_TEST_CASE(products_are_correct_for_any_number_of_rows, data::make(compute_types), type) {
    constexpr std::int32_t most = 97;  // number of outputs; not even, like some vocabulary sizes
    constexpr std::int32_t k = 200;
    constexpr std::int32_t max_rows = 130;
    std::mt19937_64 random(1);
    const Halves w = random_halves(type, most * k, random);
    const Halves x = random_halves(type, max_rows * k, random);
    const auto device_w = on_device(w);
    const auto device_x = on_device(x);
    Stream stream;
    for (const bool logits : {false, true}) {
        const std::int32_t n = logits ? most : 96;
        const std::int32_t stride = logits ? 100 : n;
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

// Here K is so long that the fastest algorithm may split it. In deterministic mode no algorithm splits K.
BOOST_DATA_TEST_CASE(deterministic_rows_do_not_depend_on_the_number_of_rows, data::make(compute_types),
                     type) {
    constexpr std::int32_t n = 64;
    constexpr std::int32_t k = 2048;
    constexpr std::int32_t max_rows = 130;
    std::mt19937_64 random(2);
    const auto w = on_device(random_halves(type, n * k, random));
    const auto x = on_device(random_halves(type, max_rows * k, random));
    Stream stream;
    propose_algorithms(num_algorithms);
    Gemm products(device_library(), type, max_rows, true, {});
    const auto id = products.add({.n = n, .k = k, .out = DType::fp32, .out_stride = n}, {w.data()});
    products.tune(stream);
    propose_algorithms(1);
    const auto rows = [&](std::int32_t m) {
        DeviceBuffer<float> d(static_cast<std::size_t>(m * n));
        products.run(id, x.data(), w.data(), d.data(), m, stream);
        stream.synchronize();
        return on_host(d);
    };
    const auto all = rows(max_rows);
    for (const std::int32_t m : {1, 3, 8, 17, 64, 65, 127}) {
        const auto some = rows(m);
        BOOST_TEST(std::equal(some.begin(), some.end(), all.begin()), m << " rows");
    }
}

// ---- calls

constexpr GemmShape square = {.n = 64, .k = 64, .out = DType::bf16, .out_stride = 64};

BOOST_AUTO_TEST_CASE(run_allocates_nothing) {
    const auto w = on_device(Halves(64 * 64));
    const auto x = on_device(Halves(8 * 64));
    DeviceBuffer<std::uint16_t> d(8 * 64);
    Stream stream;
    CublasLt library = device_library();
    // The emulated product allocates memory, so the test replaces it. The class Gemm must not allocate.
    if (device_is_emulated()) library.matmul = [](auto...) { return CUBLAS_STATUS_SUCCESS; };
    Gemm products(library, DType::bf16, 8, false, {});
    const auto id = products.add(square, {w.data()});
    products.tune(stream);
    products.run(id, x.data(), w.data(), d.data(), 8, stream);
    stream.synchronize();
    const std::uint64_t before = num_allocations();
    for (std::int32_t m = 1; m <= 8; ++m) products.run(id, x.data(), w.data(), d.data(), m, stream);
    BOOST_TEST(num_allocations() == before);
}

BOOST_AUTO_TEST_CASE(invalid_call_throws) {
    if (!device_is_emulated()) return;
    const auto w = on_device(Halves(64 * 64));
    const auto x = on_device(Halves(8 * 64));
    DeviceBuffer<std::uint16_t> d(8 * 64);
    Stream stream;
    Gemm products(device_library(), DType::bf16, 8, false, {});
    const auto id = products.add(square, {w.data()});
    products.tune(stream);
    // x.data() + 64 is the second row, so the product would read one row after the end of x.
    BOOST_CHECK_THROW(products.run(id, x.data() + 64, w.data(), d.data(), 8, stream), DeviceError);
}

BOOST_AUTO_TEST_CASE(shape_without_an_algorithm_throws_at_start) {
    const auto w = on_device(Halves(64 * 64));
    Stream stream;
    const auto tune = [&](const CublasLt& library, bool deterministic) {
        Gemm products(library, DType::bf16, 8, deterministic, {});
        products.add(square, {w.data()});
        products.tune(stream);
    };
    propose_algorithms(num_algorithms);
    for (const bool deterministic : {false, true}) {
        CublasLt proposes_nothing = device_library();
        proposes_nothing.get_heuristic = [](auto...) { return CUBLAS_STATUS_NOT_SUPPORTED; };
        BOOST_CHECK_THROW(tune(proposes_nothing, deterministic), DeviceError);
        CublasLt refuses_later = device_library();
        refuses_later.check_algo = [](auto...) { return CUBLAS_STATUS_NOT_SUPPORTED; };
        BOOST_CHECK_THROW(tune(refuses_later, deterministic), DeviceError);
    }
    CublasLt refuses_at_last = device_library();
    refuses_at_last.matmul = [](auto...) { return CUBLAS_STATUS_NOT_SUPPORTED; };
    BOOST_CHECK_THROW(tune(refuses_at_last, false), DeviceError);
    propose_algorithms(1);
}

// ---- which algorithm

struct OneProduct {
    DeviceBuffer<std::uint16_t> w{64 * 64};
    Stream stream;

    OneProduct() { propose_algorithms(num_algorithms); }
    OneProduct(const OneProduct&) = delete;
    OneProduct& operator=(const OneProduct&) = delete;
    ~OneProduct() { propose_algorithms(1); }

    std::vector<GemmChoice> choose(bool deterministic, const std::filesystem::path& cache = {},
                                   DType out = DType::bf16) {
        Gemm products(device_library(), DType::bf16, 256, deterministic, cache);
        products.add({.n = 64, .k = 64, .out = out, .out_stride = 64}, {w.data()});
        products.tune(stream);
        return products.choices();
    }
};

// Tells which algorithms of the emulated library have computed a product since the object was made.
class Used {
  public:
    Used() {
        for (int i = 0; i < num_algorithms; ++i) before_.push_back(products_computed_by(i));
    }
    bool operator[](int algorithm) const {
        return products_computed_by(algorithm) > before_[static_cast<std::size_t>(algorithm)];
    }

  private:
    std::vector<std::uint64_t> before_;
};

BOOST_AUTO_TEST_CASE(every_number_of_rows_uses_the_algorithm_of_the_next_larger_bucket) {
    OneProduct product;
    const auto choices = product.choose(false);
    std::vector<std::int32_t> rows;
    rows.reserve(choices.size());
    for (const GemmChoice& choice : choices) rows.push_back(choice.rows);
    BOOST_TEST((rows == std::vector<std::int32_t>{1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256}));
}

BOOST_AUTO_TEST_CASE(number_of_rows_uses_the_smallest_bucket_that_holds_it) {
    if (!device_is_emulated()) return;
    const auto folder = fresh_folder("buckets");
    OneProduct product;
    product.choose(false, folder);
    GemmCache cache(only_file_of(folder));
    for (const int rows : {1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256}) {
        const std::string key = std::to_string(rows) + "x64x64/64 bf16 bf16";
        BOOST_REQUIRE(cache.find(key) != nullptr);
        cache.remember(key, {.algo = {.data = {rows == 4 ? 3U : 0U}}});
    }
    cache.save();
    const auto x = on_device(Halves(256 * 64));
    DeviceBuffer<std::uint16_t> d(256 * 64);
    Gemm products(device_library(), DType::bf16, 256, false, folder);
    const auto id = products.add(square, {product.w.data()});
    products.tune(product.stream);
    for (const std::int32_t m : {1, 2, 3, 4, 5, 8, 255, 256}) {
        const Used used;
        products.run(id, x.data(), product.w.data(), d.data(), m, product.stream);
        BOOST_TEST(used[3] == (m == 3 || m == 4), m << " rows");
    }
    product.stream.synchronize();
    std::filesystem::remove_all(folder);
}

BOOST_AUTO_TEST_CASE(algorithms_with_too_much_workspace_or_16_bit_sums_are_not_tried) {
    if (!device_is_emulated()) return;
    OneProduct product;
    const Used for_halves;
    product.choose(false);
    BOOST_TEST((for_halves[0] && for_halves[1] && for_halves[3]));
    BOOST_TEST(!for_halves[2]);
    BOOST_TEST(!for_halves[4]);
    const Used for_floats;
    product.choose(false, {}, DType::fp32);
    BOOST_TEST(for_floats[4]);
    BOOST_TEST(!for_floats[2]);
}

BOOST_AUTO_TEST_CASE(deterministic_mode_has_one_algorithm_and_never_splits_k) {
    OneProduct product;
    const Used used;
    for (const DType out : {DType::bf16, DType::fp32})
        for (const GemmChoice& choice : product.choose(true, {}, out)) BOOST_TEST(choice.split_k == 1);
    BOOST_TEST((!used[1] && !used[2] && !used[4]));
    // Deterministic mode uses the first algorithm that cuBLASLt proposes, even if a later proposal is faster.
    BOOST_TEST(!used[3]);
}

BOOST_AUTO_TEST_CASE(deterministic_mode_ignores_remembered_algorithms) {
    if (!device_is_emulated()) return;
    const auto folder = fresh_folder("splitting");
    OneProduct product;
    product.choose(false, folder);
    GemmCache cache(only_file_of(folder));
    cache.remember("256x64x64/64 bf16 bf16", {.algo = {.data = {1}}});
    cache.save();
    BOOST_TEST(product.choose(false, folder).back().split_k == 4);
    for (const GemmChoice& choice : product.choose(true, folder)) BOOST_TEST(choice.split_k == 1);
    std::filesystem::remove_all(folder);
}

// ---- the cache

BOOST_AUTO_TEST_CASE(measured_choices_are_remembered) {
    if (!device_is_emulated()) return;
    const auto cache = fresh_folder("remembered");
    OneProduct product;
    const std::uint64_t before = products_computed();
    const auto measured = product.choose(false, cache);
    const std::uint64_t count = products_computed() - before;
    BOOST_TEST(count > 0);
    const auto remembered = product.choose(false, cache);
    BOOST_TEST(products_computed() - before == count + remembered.size());  // one run per algorithm
    for (std::size_t i = 0; i < measured.size(); ++i)
        BOOST_TEST(remembered[i].split_k == measured[i].split_k);
    // A product with another output type needs its own measurement. Deterministic mode measures nothing.
    product.choose(false, cache, DType::fp32);
    BOOST_TEST(products_computed() - before > count);
    std::filesystem::remove_all(cache);
    product.choose(true, cache);
    BOOST_TEST(!std::filesystem::exists(cache));
}

BOOST_AUTO_TEST_CASE(damaged_cache_is_measured_again) {
    if (!device_is_emulated()) return;
    const auto cache = fresh_folder("damaged");
    OneProduct product;
    product.choose(false, cache);
    const auto file = only_file_of(cache);
    std::string text;
    std::getline(std::ifstream(file), text, '\0');
    std::string flipped = text;
    flipped[text.find(" : ") + 5] ^= 1;
    for (const std::string& damage : {std::string(), std::string("garbage\n : \n : : \n"),
                                      text.substr(0, text.size() / 2), text.substr(1), flipped}) {
        std::ofstream(file, std::ios::trunc) << damage;
        const std::uint64_t before = products_computed();
        const std::size_t choices = product.choose(false, cache).size();
        BOOST_TEST(products_computed() > before + choices);
        const std::uint64_t mended = products_computed();
        product.choose(false, cache);
        BOOST_TEST(products_computed() == mended + choices);
    }
    std::filesystem::remove_all(cache);
}

// The entry of the cache may come from another version of the program, which had other rules for algorithms.
BOOST_AUTO_TEST_CASE(remembered_algorithm_is_checked_before_use) {
    if (!device_is_emulated()) return;
    const auto cache = fresh_folder("foreign");
    OneProduct product;
    product.choose(false, cache);
    const auto file = only_file_of(cache);
    std::string line;
    std::getline(std::ifstream(file), line);
    const std::string key = line.substr(0, line.find(" : "));
    for (const std::uint64_t algorithm : {2, 4, 99}) {
        GemmCache foreign(file);
        foreign.remember(key, {.algo = {.data = {algorithm}}, .microseconds = 1});
        foreign.save();
        const std::uint64_t before = products_computed();
        const std::size_t choices = product.choose(false, cache).size();
        BOOST_TEST(products_computed() > before + choices);
    }
    std::filesystem::remove_all(cache);
}

BOOST_AUTO_TEST_CASE(cache_keeps_its_entries_and_leaves_no_other_file) {
    const auto folder = fresh_folder("kept");
    const auto file = folder / "a/b.txt";
    const GemmCache::Entry entry{.algo = {.data = {1, ~0ULL, 3, 4, 5, 6, 7, 0xabcdef}},
                                 .microseconds = 12.5F};
    {
        GemmCache cache(file);
        BOOST_TEST(cache.find("a key") == nullptr);
        cache.remember("a key", entry);
        cache.remember("another", {});
        cache.save();
    }
    GemmCache cache(file);
    const GemmCache::Entry* const found = cache.find("a key");
    BOOST_REQUIRE(found != nullptr);
    BOOST_TEST(found->microseconds == 12.5F);
    BOOST_TEST(std::equal(std::begin(found->algo.data), std::end(found->algo.data), entry.algo.data));
    BOOST_TEST(cache.find("a") == nullptr);
    // Without a new entry nothing is written.
    std::filesystem::remove(file);
    cache.save();
    BOOST_TEST(std::filesystem::is_empty(file.parent_path()));
    // If the file cannot be replaced, the temporary file is removed.
    std::filesystem::create_directories(file / "in the way");
    cache.remember("a third", {});
    cache.save();
    BOOST_TEST(std::distance(std::filesystem::directory_iterator(file.parent_path()), {}) == 1);
    std::filesystem::remove_all(folder);
}

BOOST_AUTO_TEST_CASE(unwritable_folder_is_no_error) {
    OneProduct product;
    product.choose(false, "/proc/no/such/folder");
}

BOOST_AUTO_TEST_CASE(cache_folder_comes_from_the_environment) {
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

BOOST_AUTO_TEST_CASE(missing_library_error_names_every_place) {
    const auto missing = CublasLt::open("/no/such/folder/libcublasLt.so.13");
    BOOST_REQUIRE(!missing);
    BOOST_TEST((missing.error().code == errc::device_unavailable));
    BOOST_TEST(missing.error().message.find("/no/such/folder/libcublasLt.so.13") != std::string::npos);
    BOOST_TEST(missing.error().message.find("--cublaslt") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(other_library_is_refused_naming_a_missing_function) {
    const auto other = CublasLt::open("libm.so.6");
    BOOST_REQUIRE(!other);
    BOOST_TEST(other.error().message.find("libm.so.6 has no function cublasLt") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(library_of_another_major_version_is_refused) {
    const auto old = CublasLt::open(SOLARD_OLD_CUBLASLT);
    BOOST_REQUIRE(!old);
    BOOST_TEST((old.error().code == errc::device_unavailable));
    BOOST_TEST(old.error().message.find("is cuBLASLt 12, but 13 is needed") != std::string::npos);
    BOOST_TEST(old.error().message.find(SOLARD_OLD_CUBLASLT) != std::string::npos);
}

// The toolkit's real library, if it is installed. Opening it and describing a product to it needs no device.
const auto toolkit_folder = std::filesystem::path(SOLARD_SOURCE_DIR) / "build/cuda/nvidia/cu13/lib";
bool has_toolkit_library() {
    return std::filesystem::exists(toolkit_folder / "libcublasLt.so.13");
}

BOOST_AUTO_TEST_CASE(real_library_opens_by_its_folder) {
    if (!has_toolkit_library()) return;
    const auto library = CublasLt::open(toolkit_folder);
    BOOST_REQUIRE(library);
    BOOST_TEST(library->get_version() >= 130000U);
    BOOST_TEST(library->file == std::filesystem::canonical(toolkit_folder / "libcublasLt.so.13").string());
    BOOST_TEST(library->description().starts_with("cuBLASLt 13."));
}

// The test programs are one folder deeper than the server, so the search for the library must go up two
// folders.
BOOST_AUTO_TEST_CASE(real_library_is_found_where_the_scripts_install_it) {
    const auto beside_the_build = std::filesystem::path(SOLARD_TEST_BUILD_DIR) / "../../cuda/nvidia/cu13/lib";
    std::error_code absent;
    if (!std::filesystem::equivalent(beside_the_build, toolkit_folder, absent)) return;
    BOOST_TEST(CublasLt::open({}).value().file ==
               std::filesystem::canonical(toolkit_folder / "libcublasLt.so.13").string());
}

// Only the real library knows the sizes of its attributes.
BOOST_AUTO_TEST_CASE(real_library_accepts_the_description_of_a_product) {
    if (!has_toolkit_library()) return;
    const CublasLt library = CublasLt::open(toolkit_folder).value();
    cublasLtMatmulDesc_t desc = nullptr;
    check(library.create_desc(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    const cublasOperation_t transposed = CUBLAS_OP_T;
    check(library.set_desc(desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof(transposed)));
    cublasLtMatrixLayout_t layout = nullptr;
    check(library.create_layout(&layout, CUDA_R_16BF, 4096, 1, 4096));
    const std::uint64_t columns = 130;
    check(library.set_layout(layout, CUBLASLT_MATRIX_LAYOUT_COLS, &columns, sizeof(columns)));
    cublasLtMatmulPreference_t preference = nullptr;
    check(library.create_preference(&preference));
    const std::size_t workspace = 1 << 20;
    check(library.set_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                 sizeof(workspace)));
    const std::uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    check(library.set_preference(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions,
                                 sizeof(reductions)));
    BOOST_CHECK_THROW(check(library.set_layout(layout, CUBLASLT_MATRIX_LAYOUT_COLS, &columns, 2)),
                      DeviceError);
    check(library.destroy_preference(preference));
    check(library.destroy_layout(layout));
    check(library.destroy_desc(desc));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::cuda
