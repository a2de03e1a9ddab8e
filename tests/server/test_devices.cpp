#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "server/devices.hpp"

namespace solard::server {

BOOST_AUTO_TEST_SUITE(devices)

BOOST_AUTO_TEST_CASE(auto_chooses_the_cpu_only_without_nvidia_driver_and_device) {
    BOOST_TEST(choose_device("auto", {}).value() == "cpu");
    for (const NvidiaPresence some : {NvidiaPresence{true, false}, {false, true}, {true, true}}) {
        const auto device = choose_device("auto", some);
        BOOST_REQUIRE(!device);
        BOOST_TEST((device.error().code == errc::device_unavailable));
        BOOST_TEST(choose_device("cpu", some).value() == "cpu");
    }
}

BOOST_AUTO_TEST_CASE(cuda_without_a_device_is_refused_with_the_reason_in_one_line) {
    const auto device = choose_device("cuda", {});
    BOOST_REQUIRE(!device);
    BOOST_TEST((device.error().code == errc::device_unavailable));
    BOOST_TEST(device.error().message.find("no NVIDIA driver") != std::string::npos);
    BOOST_TEST(device.error().message.find('\n') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(nvidia_is_found_by_device_nodes_and_driver) {
    const auto root = std::filesystem::path(SOLARD_TEST_BUILD_DIR) / ("devices_" + std::to_string(getpid()));
    std::filesystem::create_directories(root / "dev");
    BOOST_TEST(!find_nvidia(root).any());
    std::ofstream(root / "dev/nvidia0") << "";
    BOOST_TEST(find_nvidia(root).device_node);
    BOOST_TEST(!find_nvidia(root).driver);
    std::filesystem::create_directories(root / "proc/driver/nvidia");
    std::ofstream(root / "proc/driver/nvidia/version") << "x";
    BOOST_TEST(find_nvidia(root).driver);
    std::filesystem::remove_all(root);
}

BOOST_AUTO_TEST_CASE(list_shows_every_device_and_why_it_is_not_usable) {
    const auto text = list_devices({}, {}, 3);
    BOOST_TEST(text.find("cpu   3 cores") != std::string::npos);
    BOOST_TEST(text.find("cuda  not usable: no NVIDIA driver") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(auto_and_cuda_choose_a_usable_cuda_device) {
    const NvidiaPresence present{.driver = true, .device_node = true};
    const CudaDevice l40s{
        .name = "NVIDIA L40S", .compute_major = 8, .compute_minor = 9, .memory_bytes = 46068ULL << 20};
    BOOST_TEST(choose_device("auto", present, {.built = true, .devices = {l40s}}).value() == "cuda");
    BOOST_TEST(choose_device("cuda", present, {.built = true, .devices = {l40s}}).value() == "cuda");
    BOOST_TEST(choose_device("cpu", present, {.built = true, .devices = {l40s}}).value() == "cpu");
    const auto text = list_devices(present, {.built = true, .devices = {l40s}}, 3);
    BOOST_TEST(text.find("cuda  NVIDIA L40S, compute capability 8.9, 46068 MiB\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(compute_capability_8_9_or_above_is_usable) {
    const NvidiaPresence present{.driver = true, .device_node = true};
    const auto usable = [&](int major, int minor) {
        const CudaDevice card{.name = "card", .compute_major = major, .compute_minor = minor};
        return !!choose_device("cuda", present, {.built = true, .devices = {card}});
    };
    for (const auto& [major, minor] : {std::pair(8, 9), {9, 0}, {10, 0}, {12, 0}})
        BOOST_TEST(usable(major, minor), major << "." << minor);
    for (const auto& [major, minor] : {std::pair(6, 1), {7, 5}, {8, 0}, {8, 6}})
        BOOST_TEST(!usable(major, minor), major << "." << minor);
}

BOOST_AUTO_TEST_CASE(only_the_first_cuda_device_counts_but_all_are_listed) {
    const NvidiaPresence present{.driver = true, .device_node = true};
    const CudaDevice old{.name = "old", .compute_major = 7, .compute_minor = 0};
    const CudaDevice l40s{.name = "L40S", .compute_major = 8, .compute_minor = 9};
    BOOST_TEST(!!choose_device("auto", present, {.built = true, .devices = {l40s, old}}));
    BOOST_TEST(!choose_device("auto", present, {.built = true, .devices = {old, l40s}}));
    const auto text = list_devices(present, {.built = true, .devices = {old, l40s}}, 3);
    BOOST_TEST(text.find("cuda  old, compute capability 7.0, 0 MiB, not usable: ") != std::string::npos);
    BOOST_TEST(text.find("cuda  L40S, compute capability 8.9, 0 MiB\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(auto_does_not_choose_the_cpu_if_the_cuda_device_is_unusable) {
    const NvidiaPresence present{.driver = true, .device_node = true};
    const CudaDevice a100{.name = "NVIDIA A100", .compute_major = 8, .compute_minor = 0};
    const auto reason = [&](const CudaSupport& cuda) {
        const auto device = choose_device("auto", present, cuda);
        BOOST_REQUIRE(!device);
        BOOST_TEST((device.error().code == errc::device_unavailable));
        return device.error().message;
    };
    BOOST_TEST(reason({}).find("./run.sh") != std::string::npos);
    BOOST_TEST(reason({.built = true}).find("no device") != std::string::npos);
    BOOST_TEST(reason({.built = true, .error = "driver too old"}).find("driver too old") !=
               std::string::npos);
    BOOST_TEST(reason({.built = true, .devices = {a100}}).find("NVIDIA A100 has compute capability 8.0") !=
               std::string::npos);
    BOOST_TEST(list_devices(present, {.built = true, .devices = {a100}}, 3).find("not usable: NVIDIA A100") !=
               std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
