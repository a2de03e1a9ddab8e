#define BOOST_TEST_MODULE solard
#include <boost/test/unit_test.hpp>
