// Wrappers of the CUDA runtime. Errors are thrown as exceptions, and objects own memory, streams and events.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <source_location>
#include <stdexcept>
#include <string>
#include <utility>

namespace solard::cuda {

// A call to CUDA failed, or earlier work on the device failed. The device's context may be unusable from then
// on.
struct DeviceError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Throws a DeviceError that names the calling line if `status` is not success.
inline void check(cudaError_t status, const std::source_location& where = std::source_location::current()) {
    if (status == cudaSuccess) return;
    throw DeviceError(std::string(cudaGetErrorName(status)) + ": " + cudaGetErrorString(status) + " (" +
                      where.file_name() + ":" + std::to_string(where.line()) + ")");
}

// Uninitialised memory of `size` elements. `allocate` and `release` are a matching pair of functions of the
// CUDA runtime. A buffer can be moved; its destructor frees the memory.
template <class T, cudaError_t (*allocate)(void**, std::size_t), cudaError_t (*release)(void*)>
class Buffer {
  public:
    Buffer() = default;
    // Throws DeviceError if the memory cannot be allocated.
    explicit Buffer(std::size_t size) : size_(size) {
        if (size > 0) check(allocate(reinterpret_cast<void**>(&data_), size * sizeof(T)));
    }
    Buffer(Buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Buffer() { release(data_); }

    T* data() { return data_; }
    const T* data() const { return data_; }
    std::size_t size() const { return size_; }  // elements
    std::size_t size_bytes() const { return size_ * sizeof(T); }

  private:
    T* data_ = nullptr;
    std::size_t size_ = 0;
};

// Memory of the device.
template <class T>
using DeviceBuffer = Buffer<T, cudaMalloc, cudaFree>;

// Page-locked host memory, which the device can read and write directly.
template <class T>
using PinnedBuffer = Buffer<T, cudaMallocHost, cudaFreeHost>;

// A queue of work that the device executes in order. It does not synchronise with the default stream.
class Stream {
  public:
    Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { cudaStreamDestroy(stream_); }

    cudaStream_t get() const { return stream_; }
    void synchronize() const { check(cudaStreamSynchronize(stream_)); }

  private:
    cudaStream_t stream_ = nullptr;
};

// A point in a stream's work. The host can wait until the stream has reached this point.
class Event {
  public:
    enum class Timing : bool { off, on };
    explicit Event(Timing timing = Timing::off) {
        check(cudaEventCreateWithFlags(&event_,
                                       timing == Timing::on ? cudaEventDefault : cudaEventDisableTiming));
    }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;
    ~Event() { cudaEventDestroy(event_); }

    void record(const Stream& stream) { check(cudaEventRecord(event_, stream.get())); }
    // Blocks the calling thread until the stream has reached the event. Throws DeviceError if earlier work
    // failed.
    void synchronize() const { check(cudaEventSynchronize(event_)); }
    // Returns the time between two events that were made with Timing::on and have both happened.
    float milliseconds_since(const Event& begin) const {
        float elapsed = 0;
        check(cudaEventElapsedTime(&elapsed, begin.event_, event_));
        return elapsed;
    }

  private:
    cudaEvent_t event_ = nullptr;
};

}  // namespace solard::cuda
