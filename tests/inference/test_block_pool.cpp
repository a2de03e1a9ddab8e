#include <boost/test/unit_test.hpp>
#include <set>
#include <stdexcept>

#include "inference/block_pool.hpp"

namespace solard {

BOOST_AUTO_TEST_SUITE(block_pool)

BOOST_AUTO_TEST_CASE(every_block_is_given_once_until_none_is_left) {
    BlockPool pool(4);
    std::set<BlockId> blocks;
    for (int i = 0; i < 4; ++i) blocks.insert(pool.allocate().value());
    BOOST_TEST(blocks.size() == 4U);
    BOOST_TEST(*blocks.begin() == 0);
    BOOST_TEST(*blocks.rbegin() == 3);
    BOOST_TEST(!pool.allocate().has_value());
    BOOST_TEST(pool.num_free() == 0);
    pool.check_integrity();
}

BOOST_AUTO_TEST_CASE(a_block_is_free_after_its_last_reference_went) {
    BlockPool pool(2);
    const BlockId block = pool.allocate().value();
    pool.retain(block);
    BOOST_TEST(pool.num_references(block) == 2);
    pool.release(block);
    BOOST_TEST(pool.num_free() == 1);
    pool.check_integrity();
    pool.release(block);
    BOOST_TEST(pool.num_free() == 2);
    pool.check_integrity();
}

BOOST_AUTO_TEST_CASE(misuse_throws) {
    BlockPool pool(2);
    const BlockId block = pool.allocate().value();
    pool.release(block);
    BOOST_CHECK_THROW(pool.release(block), std::logic_error);
    BOOST_CHECK_THROW(pool.retain(block), std::logic_error);
    BOOST_CHECK_THROW(pool.release(-1), std::logic_error);
    BOOST_CHECK_THROW(pool.release(2), std::logic_error);
    BOOST_TEST(pool.num_free() == 2);
    pool.check_integrity();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard
