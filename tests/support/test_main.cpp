// The main function of the test executables.
#define BOOST_TEST_NO_MAIN
#include <boost/test/unit_test.hpp>

// Defined by a test executable that is also started as a child process of its own tests. Returns the exit
// code of the child process, or -1 if the arguments are not those of a child process.
__attribute__((weak)) int run_as_child(int argc, char** argv);

int main(int argc, char** argv) {
    if (run_as_child != nullptr) {
        if (const int code = run_as_child(argc, argv); code >= 0) return code;
    }
    return boost::unit_test::unit_test_main([] { return true; }, argc, argv);
}
