#include "inference/model/weight_reader.hpp"

#include <bit>
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <limits>

#include "inference/model/half.hpp"
#include "tests/support/check_refused.hpp"
#include "tests/support/model_folder.hpp"

namespace solard {
namespace {

constexpr DType all_types[] = {DType::bf16, DType::fp16, DType::fp32};
constexpr DType compute_types[] = {DType::bf16, DType::fp16};

// Returns the element of the type that has these bits.
std::vector<std::byte> element(DType type, std::uint32_t bits) {
    std::vector<std::byte> bytes(size_of(type));
    std::memcpy(bytes.data(), &bits, bytes.size());
    return bytes;
}

float value_of(DType type, std::uint32_t bits) {
    switch (type) {
        case DType::bf16:
            return float_from_bf16(bits);
        case DType::fp16:
            return float_from_fp16(bits);
        case DType::fp32:
            return std::bit_cast<float>(bits);
    }
    return 0;
}

std::uint32_t nearest(DType type, float value) {
    return type == DType::bf16 ? bf16_from_float(value) : fp16_from_float(value);
}

bool is_usable(DType stored, std::uint32_t bits, DType compute_type) {
    return !find_unusable(element(stored, bits), stored, compute_type);
}

// Returns true if the value is finite after it was rounded to the compute type.
bool stays_finite(DType stored, std::uint32_t bits, DType compute_type) {
    return std::isfinite(value_of(compute_type, nearest(compute_type, value_of(stored, bits))));
}

float converted(DType from, std::uint32_t bits, DType to) {
    float value = 0;
    convert_to_float(element(from, bits), from, to, {&value, 1});
    return value;
}

BOOST_AUTO_TEST_SUITE(weight_reader)

BOOST_AUTO_TEST_CASE(every_16_bit_value_is_usable_if_it_stays_finite) {
    for (const DType stored : compute_types) {
        for (const DType compute_type : compute_types) {
            for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
                BOOST_REQUIRE_EQUAL(is_usable(stored, bits, compute_type),
                                    stays_finite(stored, bits, compute_type));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(fp32_values_are_usable_up_to_the_point_from_which_they_round_to_infinity) {
    const auto bits_of = [](float value) { return std::bit_cast<std::uint32_t>(value); };
    BOOST_TEST(is_usable(DType::fp32, bits_of(65519.996F), DType::fp16));
    BOOST_TEST(!is_usable(DType::fp32, bits_of(65520.0F), DType::fp16));
    BOOST_TEST(is_usable(DType::fp32, bits_of(65520.0F), DType::bf16));
    BOOST_TEST(is_usable(DType::fp32, 0x7f7f7fff, DType::bf16));
    BOOST_TEST(!is_usable(DType::fp32, 0x7f7f8000, DType::bf16));
    for (const DType compute_type : compute_types) {
        for (const float subnormal :
             {std::numeric_limits<float>::denorm_min(), 0x1p-127F, 0x1p-25F, 0x1p-24F, -0.0F})
            BOOST_TEST(is_usable(DType::fp32, bits_of(subnormal), compute_type));
        for (const std::uint32_t bits : {0x7f800000U, 0xff800000U, 0x7f800001U, 0xffc00000U, 0x7f7fffffU})
            BOOST_TEST(!is_usable(DType::fp32, bits, compute_type));
        // The bits of floats near the limits of both types.
        for (const std::uint32_t limit : {0x477fefffU, 0x7f7f7fffU, 0x7f800000U}) {
            for (std::uint32_t bits = limit - 1000; bits < limit + 1000; ++bits) {
                for (const std::uint32_t sign : {0U, 0x80000000U})
                    BOOST_REQUIRE_EQUAL(is_usable(DType::fp32, bits | sign, compute_type),
                                        stays_finite(DType::fp32, bits | sign, compute_type));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(first_unusable_element_is_found_anywhere) {
    for (const DType type : all_types) {
        const std::uint32_t infinity = type == DType::bf16   ? 0x7f80
                                       : type == DType::fp16 ? 0x7c00
                                                             : 0x7f800000;
        for (std::size_t count = 0; count < 40; ++count) {
            std::vector<std::byte> elements(count * size_of(type));
            BOOST_TEST(!find_unusable(elements, type, DType::fp16).has_value());
            for (std::size_t i = count; i > 0; --i) {
                std::memcpy(elements.data() + (i - 1) * size_of(type), &infinity, size_of(type));
                BOOST_TEST((find_unusable(elements, type, DType::fp16) == i - 1));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(conversion_rounds_to_nearest_even) {
    const auto from_float = [](float value, DType to) {
        return converted(DType::fp32, std::bit_cast<std::uint32_t>(value), to);
    };
    BOOST_TEST(from_float(1 + 0x1p-8F, DType::bf16) == 1.0F);
    BOOST_TEST(from_float(1 + 0x1p-7F + 0x1p-8F, DType::bf16) == 1 + 0x1p-6F);
    BOOST_TEST(from_float(1 + 0x1p-8F + 0x1p-20F, DType::bf16) == 1 + 0x1p-7F);
    BOOST_TEST(from_float(1 + 0x1p-11F, DType::fp16) == 1.0F);
    BOOST_TEST(from_float(1 + 0x1p-10F + 0x1p-11F, DType::fp16) == 1 + 0x1p-9F);
    BOOST_TEST(from_float(0x1p-25F, DType::fp16) == 0.0F);
    BOOST_TEST(from_float(1.5F * 0x1p-24F, DType::fp16) == 0x1p-23F);  // a subnormal half way
    BOOST_TEST(from_float(0x1p-133F, DType::bf16) == 0x1p-133F);       // the smallest subnormal of bf16
    BOOST_TEST(from_float(1.2345678F, DType::fp32) == 1.2345678F);
    BOOST_TEST(converted(DType::fp16, 0x3c01, DType::bf16) == 1.0F);         // 1 + 2^-10
    BOOST_TEST(converted(DType::fp16, 0x0001, DType::bf16) == 0x1p-24F);     // a subnormal of fp16 only
    BOOST_TEST(converted(DType::bf16, 0x3380, DType::fp16) == 0x1p-24F);     // a subnormal of fp16 only
    BOOST_TEST(converted(DType::bf16, 0x3300, DType::fp16) == 0.0F);         // 2^-25, half of it
    BOOST_TEST(converted(DType::bf16, 0x477f, DType::fp16) == 65280.0F);     // the largest that fits
    BOOST_TEST(converted(DType::bf16, 0x3f81, DType::fp16) == 1 + 0x1p-7F);  // exact in both types
}

// The elements lie in the first and in the last of several pieces that are read one after another.
BOOST_AUTO_TEST_CASE(unusable_elements_of_a_tensor_are_named) {
    constexpr std::int64_t count = 700'001;
    const auto read = [&](DType type, std::int64_t index, std::uint32_t bits, DType compute_type) {
        const ModelFolder folder;
        TensorData tensor{"x", type, {count}, std::vector<std::byte>(count * size_of(type))};
        std::memcpy(tensor.bytes.data() + static_cast<std::size_t>(index) * size_of(type), &bits,
                    size_of(type));
        folder.write_safetensors("model.safetensors", std::vector{tensor});
        const auto source = WeightSource::open(folder.path()).value();
        std::vector<std::byte> bytes(tensor.bytes.size() - 4);
        const auto outcome = read_weights(source, *source.find("x"), 4, compute_type, bytes);
        if (outcome) BOOST_TEST(std::equal(bytes.begin(), bytes.end(), tensor.bytes.begin() + 4));
        return outcome;
    };
    require_accepted(read(DType::bf16, count - 1, 0x3f80, DType::bf16));
    require_accepted(read(DType::fp32, count - 1, 0x3f800000, DType::fp16));
    check_refused(read(DType::bf16, count - 1, 0x7fc0, DType::bf16),
                  {"model.safetensors", "\"x\"", "element 700000 is NaN"});
    check_refused(read(DType::fp16, 5, 0xfc00, DType::fp16), {"\"x\"", "element 5 is infinite"});
    check_refused(read(DType::fp32, 600'000, 0x47800000, DType::fp16),
                  {"element 600000 is 65536", "too large for fp16", "--dtype bf16"});
    check_refused(read(DType::fp32, 1, 0x7f7fffff, DType::bf16), {"3.40282e+38", "too large for bf16"});
}

BOOST_AUTO_TEST_CASE(tensors_are_compared_after_conversion) {
    const std::vector<float> values = {1 + 0x1p-8F, 0.5F, -3.0F};
    const ModelFolder folder;
    std::vector<TensorData> tensors;
    const auto add = [&](std::string name, DType type, float last) {
        TensorData tensor{std::move(name), type, {3}, {}};
        for (std::size_t i = 0; i < 3; ++i) {
            const float value = i == 2 ? last : values[i];
            const auto bytes = element(
                type, type == DType::fp32 ? std::bit_cast<std::uint32_t>(value) : nearest(type, value));
            tensor.bytes.insert(tensor.bytes.end(), bytes.begin(), bytes.end());
        }
        tensors.push_back(tensor);
    };
    add("fp32", DType::fp32, values[2]);
    add("bf16", DType::bf16, values[2]);
    add("fp16", DType::fp16, values[2]);
    add("copy", DType::bf16, values[2]);
    add("other", DType::bf16, 3.0F);
    folder.write_safetensors("model.safetensors", tensors);
    const auto source = WeightSource::open(folder.path()).value();
    const auto same = [&](std::string_view left, std::string_view right, DType type) {
        return have_same_values(source, *source.find(left), *source.find(right), type).value();
    };
    BOOST_TEST(same("bf16", "copy", DType::bf16));
    BOOST_TEST(!same("bf16", "other", DType::bf16));
    BOOST_TEST(same("fp32", "bf16", DType::bf16));
    BOOST_TEST(same("bf16", "fp32", DType::bf16));
    BOOST_TEST(!same("fp32", "bf16", DType::fp32));  // bf16 has rounded the first value
    BOOST_TEST(same("fp32", "fp16", DType::fp32));   // all three values are exact in fp16
    BOOST_TEST(!same("fp16", "bf16", DType::fp16));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard
