// Tests of the emulator itself: deliberate mistakes are detected in each build; streams, faults and limits
// behave like those of a real device.
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <numeric>

#include "cuda/device.hpp"
#include "tests/cuda/emulator/launch.hpp"
#include "tests/cuda/emulator/planted.hpp"
#include "tests/cuda/emulator/schedule.hpp"
#include "tests/cuda/emulator/streams.hpp"
#include "tests/cuda/unit/device_arrays.hpp"

namespace solard::cuda {
namespace {

namespace data = boost::unit_test::data;

// ---- planted mistakes

std::vector<float> expected_output(const std::vector<float>& in) {
    std::vector<float> out(128);
    for (std::size_t thread = 0; thread < 128; ++thread) {
        const std::size_t neighbour = thread / 32 * 32 + (thread + 1) % 32;
        for (std::size_t round = 0; round < 4; ++round)
            out[thread] += in[round * 128 + (neighbour + 64) % 128];
    }
    const float total = std::accumulate(out.begin(), out.end(), 0.0F);  // a sum of small integers is exact
    for (float& value : out) value += total;
    return out;
}

// Runs the kernel in its own process, because a sanitizer may end the process. Returns whether the mistake
// was detected.
bool is_detected(Bug bug, const std::string& schedule) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(9);
        cuda_emulator::set_schedule(cuda_emulator::parse_schedule(schedule));
        std::vector<float> in(512);
        for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i * 7 % 31);
        auto device_in = on_device(in);
        auto out = on_device(std::vector<float>(128));
        try {
            run_planted({.in = device_in.data(), .out = out.data(), .bug = bug}, nullptr);
            _exit(on_host(out) == expected_output(in) ? 0 : 1);
        } catch (const DeviceError&) {
            _exit(2);
        }
    }
    int status = 0;
    waitpid(child, &status, 0);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

bool is_detected_in_some_schedule(Bug bug) {
    return is_detected(bug, "forward") || is_detected(bug, "reverse") || is_detected(bug, "random:1") ||
           is_detected(bug, "random:2");
}

BOOST_AUTO_TEST_SUITE(planted_bugs)

BOOST_AUTO_TEST_CASE(correct_kernel_passes_in_every_schedule) {
    for (const char* const schedule : {"forward", "reverse", "random:1", "random:2", "random:3"}) {
        BOOST_TEST(!is_detected(Bug::none, schedule), schedule);
    }
}

// In every build, each of these mistakes causes a wrong value or a deadlock with at least one schedule.
BOOST_AUTO_TEST_CASE(ordering_mistakes_are_detected_by_one_of_four_schedules) {
    for (const Bug bug :
         {Bug::missing_barrier, Bug::wait_off_by_one, Bug::refill_too_early, Bug::divergent_barrier,
          Bug::missing_sync_warp, Bug::diverging_collective, Bug::ldmatrix_past_the_end}) {
        BOOST_TEST(is_detected_in_some_schedule(bug), "bug " << static_cast<int>(bug));
    }
}

#ifdef SOLARD_CUDA_RACE_CHECK
// The race build detects these mistakes with a single schedule, even if all values are correct.
BOOST_AUTO_TEST_CASE(race_build_detects_ordering_and_memory_mistakes) {
    for (const Bug bug : {Bug::missing_barrier, Bug::wait_off_by_one, Bug::refill_too_early,
                          Bug::divergent_barrier, Bug::missing_sync_warp, Bug::diverging_collective,
                          Bug::read_past_the_end, Bug::write_past_the_end, Bug::ldmatrix_past_the_end}) {
        BOOST_TEST(is_detected(bug, "forward"), "bug " << static_cast<int>(bug));
    }
}
#endif

#ifdef __SANITIZE_ADDRESS__
BOOST_AUTO_TEST_CASE(address_sanitizer_detects_memory_mistakes) {
    for (const Bug bug : {Bug::read_past_the_end, Bug::write_past_the_end, Bug::ldmatrix_past_the_end,
                          Bug::misaligned_vector, Bug::static_array_past_the_end}) {
        BOOST_TEST(is_detected(bug, "forward"), "bug " << static_cast<int>(bug));
    }
}
#endif

BOOST_AUTO_TEST_SUITE_END()

// ---- the device

// The destructor repairs the emulated device, whatever the test did to the device.
struct FreshDevice {
    ~FreshDevice() {
        cuda_emulator::reset_faults();
        cuda_emulator::set_device_memory(std::size_t{2} << 30);
    }
};

BOOST_FIXTURE_TEST_SUITE(layer, FreshDevice)

BOOST_AUTO_TEST_CASE(work_runs_only_when_something_waits_for_it) {
    Stream stream;
    std::vector<int> order;
    cuda_emulator::enqueue(stream.get(), [&] { order.push_back(1); });
    Event event;
    event.record(stream);
    cuda_emulator::enqueue(stream.get(), [&] { order.push_back(2); });
    BOOST_TEST(order.empty());
    event.synchronize();
    BOOST_TEST(order == std::vector<int>{1}, boost::test_tools::per_element());
    stream.synchronize();
    BOOST_TEST(order.size() == 2);
}

BOOST_AUTO_TEST_CASE(stream_that_waits_for_an_event_runs_after_it) {
    Stream first;
    Stream second;
    std::vector<int> order;
    cudaEvent_t event = nullptr;
    check(cudaEventCreate(&event));
    cuda_emulator::enqueue(first.get(), [&] { order.push_back(1); });
    check(cudaEventRecord(event, first.get()));
    check(cudaStreamWaitEvent(second.get(), event, 0));
    cuda_emulator::enqueue(second.get(), [&] { order.push_back(2); });
    second.synchronize();
    const std::vector<int> expected = {1, 2};
    BOOST_TEST(order == expected, boost::test_tools::per_element());
    check(cudaEventDestroy(event));
}

BOOST_AUTO_TEST_CASE(fault_makes_every_later_call_fail) {
    const auto in = on_device(std::vector<float>(512));
    auto out = on_device(std::vector<float>(128));
    Stream stream;
    cuda_emulator::fail_launch(2);
    const PlantedArgs args{.in = in.data(), .out = out.data(), .bug = Bug::none};
    run_planted(args, stream.get());
    stream.synchronize();
    run_planted(args, stream.get());
    BOOST_CHECK_THROW(stream.synchronize(), DeviceError);
    BOOST_CHECK_THROW(run_planted(args, stream.get()), DeviceError);
    BOOST_CHECK_THROW(Stream().synchronize(), DeviceError);
    BOOST_TEST(cuda_emulator::fault_text().find("illegal address") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(deadlock_names_the_source_lines) {
    const auto in = on_device(std::vector<float>(512));
    auto out = on_device(std::vector<float>(128));
    run_planted({.in = in.data(), .out = out.data(), .bug = Bug::divergent_barrier}, nullptr);
    BOOST_CHECK_THROW(check(cudaDeviceSynchronize()), DeviceError);
    BOOST_TEST(cuda_emulator::fault_text().find("planted.cu") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(memory_is_limited_and_starts_as_nan) {
    cuda_emulator::set_device_memory(1000);
    BOOST_CHECK_THROW(DeviceBuffer<std::byte>(1001), DeviceError);
    const DeviceBuffer<float> memory(250);
    cudaGetLastError();
    std::size_t free_bytes = 0;
    std::size_t total = 0;
    check(cudaMemGetInfo(&free_bytes, &total));
    BOOST_TEST(free_bytes == 0);
    BOOST_TEST(std::isnan(on_host(memory)[249]));
}

void nothing(int) {}

BOOST_AUTO_TEST_CASE(launches_that_a_device_refuses_are_refused) {
    const auto refused = [](dim3 grid, dim3 block, std::size_t shared) {
        cuda_emulator::launch(nothing, grid, block, shared, nullptr, 0);
        return cudaGetLastError() != cudaSuccess;
    };
    BOOST_TEST(!refused(dim3(1), dim3(32), 48 * 1024));
    BOOST_TEST(refused(dim3(1), dim3(32), 48 * 1024 + 1));
    BOOST_TEST(refused(dim3(1), dim3(1025), 0));
    BOOST_TEST(refused(dim3(0), dim3(32), 0));
    BOOST_TEST(refused(dim3(1, 65536), dim3(32), 0));
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(&nothing),
                               cudaFuncAttributeMaxDynamicSharedMemorySize, 99 * 1024));
    BOOST_TEST(!refused(dim3(1), dim3(32), 99 * 1024));
    BOOST_TEST(refused(dim3(1), dim3(32), 100 * 1024));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::cuda
