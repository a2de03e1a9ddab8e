#include "tests/cuda/emulator/streams.hpp"

#include <deque>
#include <exception>
#include <memory>
#include <set>
#include <utility>

#include "tests/cuda/emulator/block_executor.hpp"
#include "tests/cuda/emulator/launch.hpp"

struct CUstream_st {
    std::deque<std::function<void()>> work;
};

struct CUevent_st {
    bool recorded = false;
    bool happened = false;
    cudaStream_t stream = nullptr;
    std::uint64_t time = 0;
};

namespace cuda_emulator {
namespace {

struct Device {
    CUstream_st default_stream;
    std::set<cudaStream_t> streams{&default_stream};
    cudaError_t fault = cudaSuccess;
    std::string text;
    std::uint64_t launches_to_failure = 0;
    std::uint64_t clock = 0;  // one tick per event
    std::set<const void*> large_shared;
    std::set<const void*> loaded;
    Counters counters;
};

Device& device() {
    static Device instance;
    return instance;
}

thread_local cudaError_t last_error = cudaSuccess;

cudaStream_t named(cudaStream_t stream) {
    return stream == nullptr ? &device().default_stream : stream;
}

void lose_device(cudaError_t error, const std::string& text) {
    device().fault = error;
    device().text = text;
    for (const cudaStream_t stream : device().streams) stream->work.clear();
}

cudaError_t run_next(cudaStream_t stream) {
    const auto work = std::move(stream->work.front());
    stream->work.pop_front();
    try {
        work();
    } catch (const std::exception& e) {
        lose_device(cudaErrorLaunchFailure, e.what());
    }
    return device().fault;
}

// Runs the work of the event's stream, up to and including the event.
cudaError_t run_until(cudaEvent_t event) {
    while (event->recorded && !event->happened && device().fault == cudaSuccess) {
        if (event->stream->work.empty()) return refuse(cudaErrorUnknown);
        run_next(event->stream);
    }
    return device().fault;
}

bool is_refused_shape(dim3 grid, dim3 block, std::size_t shared_bytes, const void* kernel) {
    const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
    const bool opted_in = device().large_shared.contains(kernel);
    return threads == 0 || threads > 1024 || grid.x == 0 || grid.y == 0 || grid.z == 0 ||
           grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535 ||
           shared_bytes > (opted_in ? 99U * 1024 : 48U * 1024);
}

}  // namespace

cudaError_t refuse(cudaError_t error) {
    if (error != cudaSuccess) last_error = error;
    return error;
}

cudaError_t enqueue(cudaStream_t stream, std::function<void()> work) {
    if (device().fault != cudaSuccess) return refuse(device().fault);
    named(stream)->work.push_back(std::move(work));
    return cudaSuccess;
}

cudaError_t drain(cudaStream_t stream) {
    stream = named(stream);
    while (!stream->work.empty() && device().fault == cudaSuccess) run_next(stream);
    return refuse(device().fault);
}

cudaError_t drain_all() {
    for (const cudaStream_t stream : device().streams) drain(stream);
    return refuse(device().fault);
}

std::string fault_text() {
    return device().text;
}

void reset_faults() {
    for (const cudaStream_t stream : device().streams) stream->work.clear();
    device().fault = cudaSuccess;
    device().text.clear();
    device().launches_to_failure = 0;
    last_error = cudaSuccess;
}

void fail_launch(std::uint64_t count) {
    device().launches_to_failure = count;
}

const Counters& counters() {
    return device().counters;
}
void unload_kernels() {
    device().loaded.clear();
    device().counters.kernels = 0;
}
Counters& mutable_counters() {
    return device().counters;
}

void enqueue_launch(const void* kernel, dim3 grid, dim3 block, std::size_t dynamic_shared_bytes,
                    cudaStream_t stream, std::function<void()> body) {
    if (is_refused_shape(grid, block, dynamic_shared_bytes, kernel)) {
        refuse(cudaErrorInvalidValue);
        return;
    }
    ++device().counters.launches;
    device().loaded.insert(kernel);
    device().counters.kernels = device().loaded.size();
    const bool fails = device().launches_to_failure > 0 && --device().launches_to_failure == 0;
    enqueue(stream, [=, body = std::move(body)] {
        if (fails) throw KernelFault("an illegal address, as the test requested");
        run_grid(grid, block, dynamic_shared_bytes, body);
    });
}

}  // namespace cuda_emulator

using namespace cuda_emulator;

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    *stream = new CUstream_st;
    device().streams.insert(*stream);
    return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
    return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    if (stream == nullptr) return cudaSuccess;
    drain(stream);
    device().streams.erase(stream);
    delete stream;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    return drain(stream);
}
cudaError_t cudaDeviceSynchronize() {
    return drain_all();
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    return enqueue(stream, [event] { run_until(event); });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
    *event = new CUevent_st;
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    if (event == nullptr) return cudaSuccess;
    run_until(event);
    delete event;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    event->recorded = true;
    event->happened = false;
    event->stream = named(stream);
    return enqueue(stream, [event] {
        event->happened = true;
        event->time = ++device().clock;
    });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    return refuse(run_until(event));
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
    if (device().fault != cudaSuccess) return refuse(device().fault);
    return event->recorded && !event->happened ? cudaErrorNotReady : cudaSuccess;
}
// The emulator does not measure time. The sign of the result tells which of the two events happened first.
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
    if (!begin->happened || !end->happened) return refuse(cudaErrorNotReady);
    *milliseconds = static_cast<float>(end->time - begin->time);
    return cudaSuccess;
}

cudaError_t cudaGetLastError() {
    if (device().fault != cudaSuccess) return device().fault;
    return std::exchange(last_error, cudaSuccess);
}
cudaError_t cudaPeekAtLastError() {
    return device().fault != cudaSuccess ? device().fault : last_error;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value > 99 * 1024) return refuse(cudaErrorInvalidValue);
    device().large_shared.insert(kernel);
    return cudaSuccess;
}

}  // extern "C"
