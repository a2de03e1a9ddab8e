// Tests probe_devices(), which describes the devices before anything runs on them.
#include <boost/test/unit_test.hpp>

#include "cuda/device_probe.hpp"

namespace solard::cuda {
namespace {

BOOST_AUTO_TEST_SUITE(device_probe)

BOOST_AUTO_TEST_CASE(usable_device_is_described_completely) {
    const DeviceProbe probe = probe_devices();
    BOOST_TEST(probe.error == "");
    BOOST_REQUIRE(!probe.devices.empty());
    const DeviceFacts& device = probe.devices.front();
    BOOST_TEST(!device.name.empty());
    BOOST_TEST(device.compute_major * 10 + device.compute_minor >= 89);
    BOOST_TEST(device.memory_bytes > 1 << 20);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::cuda
