// The inputs of one step. The host writes them into pinned memory piece by piece; one copy brings them to the
// device.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <stdexcept>

#include "cuda/device.hpp"
#include "inference/sizes.hpp"

namespace solard::cuda {

class Staging {
  public:
    // Allocates memory for pieces of `capacity` bytes in total, including their padding.
    explicit Staging(std::size_t capacity) : host_(capacity), device_(capacity) {}

    // Discards all pieces. Must not be called while an upload is in progress.
    void clear() { size_ = 0; }

    // Returns a piece of `count` elements for the host to fill, aligned to 16 bytes and valid until clear().
    // Throws std::logic_error if the capacity is too small.
    template <class T>
    std::span<T> take(std::size_t count) {
        constexpr std::size_t alignment = 16;
        const std::size_t begin = round_up(size_, alignment);
        if (begin + count * sizeof(T) > host_.size())
            throw std::logic_error("the staging buffer is too small");
        size_ = begin + count * sizeof(T);
        return {reinterpret_cast<T*>(host_.data() + begin), count};
    }
    template <class T>
    std::span<T> copy(std::span<const T> values) {
        const std::span<T> piece = take<T>(values.size());
        std::ranges::copy(values, piece.begin());
        return piece;
    }

    // Returns the piece's address on the device. The data is on the device after the stream has executed the
    // copy that upload() enqueues.
    template <class T>
    const T* on_device(std::span<T> piece) const {
        return reinterpret_cast<const T*>(device_.data() +
                                          (reinterpret_cast<const std::byte*>(piece.data()) - host_.data()));
    }

    // Enqueues one copy that brings all pieces taken since clear() to the device.
    void upload(const Stream& stream) {
        check(cudaMemcpyAsync(device_.data(), host_.data(), size_, cudaMemcpyHostToDevice, stream.get()));
    }

  private:
    PinnedBuffer<std::byte> host_;
    DeviceBuffer<std::byte> device_;
    std::size_t size_ = 0;
};

}  // namespace solard::cuda
