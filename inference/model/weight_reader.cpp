#include "inference/model/weight_reader.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "inference/model/half.hpp"

namespace solard {
namespace {

// The number of bytes that are read at a time. A piece is still in the processor's cache when it is checked.
constexpr std::size_t piece_bytes = std::size_t{1} << 20;

// Returns the largest value of type `stored` that is finite in `compute_type`. The value is returned as its
// bits without the sign: these bits, read as an integer, grow with the magnitude of the value.
constexpr std::int32_t largest_usable(DType stored, DType compute_type) {
    switch (stored) {
        case DType::bf16:
            return compute_type == DType::fp16 ? 0x477f : 0x7f7f;  // 65280, or the largest finite bf16
        case DType::fp16:
            return 0x7bff;  // the largest finite fp16, 65504
        case DType::fp32:
            // From half way between the largest finite value and the next power of two on, values are rounded
            // to infinity.
            return compute_type == DType::fp16 ? 0x477fefff : 0x7f7f7fff;
    }
    return 0;
}

// `Bits` is the signed integer with as many bits as an element.
template <class Bits>
std::optional<std::size_t> find_larger(std::span<const std::byte> elements, std::int32_t largest) {
    const std::size_t count = elements.size() / sizeof(Bits);
    const auto magnitude = [&](std::size_t i) {
        Bits bits;
        std::memcpy(&bits, elements.data() + i * sizeof(Bits), sizeof(Bits));
        return static_cast<Bits>(bits & std::numeric_limits<Bits>::max());
    };
    // This loop has no exit, so that the compiler vectorises it.
    Bits maximum = 0;
    for (std::size_t i = 0; i < count; ++i) maximum = std::max(maximum, magnitude(i));
    if (maximum <= largest) return std::nullopt;
    std::size_t first = 0;
    while (magnitude(first) <= largest) ++first;
    return first;
}

template <DType from, DType to>
void convert_all(std::span<const std::byte> elements, std::span<float> out) {
    for (std::size_t i = 0; i < out.size(); ++i) {
        const float value = load_as_float<from>(elements.data() + i * size_of(from));
        if constexpr (to == DType::fp32) {
            out[i] = value;
        } else {
            out[i] = rounded_to<to>(value);
        }
    }
}

Error unusable(const WeightSource& source, const TensorInfo& tensor, std::uint64_t index,
               std::span<const std::byte> element, DType compute_type) {
    float value = 0;
    convert_to_float(element, tensor.dtype, DType::fp32, {&value, 1});
    std::string what = "tensor " + quoted_name(tensor.name) + ": element " + std::to_string(index) + " is ";
    if (!std::isfinite(value)) {
        what += std::isnan(value) ? "NaN" : "infinite";
        what += ", so the model cannot compute anything; download the file again, or repair the model";
    } else {
        char digits[32];
        std::snprintf(digits, sizeof digits, "%g", static_cast<double>(value));
        what += std::string(digits) + ", which is too large for " + std::string(name_of(compute_type));
        if (compute_type == DType::fp16) what += "; add --dtype bf16";
    }
    return bad_model(source.file_of(tensor), what);
}

}  // namespace

std::optional<std::size_t> find_unusable(std::span<const std::byte> elements, DType stored,
                                         DType compute_type) {
    const std::int32_t largest = largest_usable(stored, compute_type);
    return stored == DType::fp32 ? find_larger<std::int32_t>(elements, largest)
                                 : find_larger<std::int16_t>(elements, largest);
}

result<void> read_weights(const WeightSource& source, const TensorInfo& tensor, std::uint64_t begin,
                          DType compute_type, std::span<std::byte> out) {
    const std::size_t size = size_of(tensor.dtype);
    for (std::size_t done = 0; done < out.size(); done += piece_bytes) {
        const auto piece = out.subspan(done, std::min(piece_bytes, out.size() - done));
        if (auto read = source.read(tensor, begin + done, piece); !read) return read.error();
        if (const auto found = find_unusable(piece, tensor.dtype, compute_type)) {
            return unusable(source, tensor, (begin + done) / size + *found,
                            piece.subspan(*found * size, size), compute_type);
        }
    }
    return {};
}

void convert_to_float(std::span<const std::byte> elements, DType from, DType to, std::span<float> out) {
    with_dtype(from,
               [&]<DType f>() { with_dtype(to, [&]<DType t>() { convert_all<f, t>(elements, out); }); });
}

result<bool> have_same_values(const WeightSource& source, const TensorInfo& left, const TensorInfo& right,
                              DType type) {
    const std::uint64_t count = left.num_bytes / size_of(left.dtype);
    constexpr std::size_t piece = piece_bytes / sizeof(float);
    std::vector<std::byte> bytes(piece_bytes);
    std::vector<float> values[2];
    for (std::uint64_t begin = 0; begin < count; begin += piece) {
        const std::size_t size = std::min<std::uint64_t>(piece, count - begin);
        for (const TensorInfo* tensor : {&left, &right}) {
            const auto part = std::span(bytes).first(size * size_of(tensor->dtype));
            if (auto read = source.read(*tensor, begin * size_of(tensor->dtype), part); !read)
                return read.error();
            std::vector<float>& out = values[tensor == &left ? 0 : 1];
            out.resize(size);
            convert_to_float(part, tensor->dtype, type, out);
        }
        if (values[0] != values[1]) return false;
    }
    return true;
}

}  // namespace solard
