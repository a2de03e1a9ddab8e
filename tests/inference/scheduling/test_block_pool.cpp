#include <boost/test/unit_test.hpp>
#include <set>
#include <stdexcept>
#include <vector>

#include "inference/scheduling/block_pool.hpp"

namespace solard {

BOOST_AUTO_TEST_SUITE(block_pool)

BOOST_AUTO_TEST_CASE(each_block_is_allocated_once_until_none_is_free) {
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

BOOST_AUTO_TEST_CASE(a_block_is_free_when_its_last_reference_is_released) {
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

BOOST_AUTO_TEST_CASE(registered_content_is_found_in_used_and_in_free_blocks) {
    BlockPool pool(2);
    const BlockId block = pool.allocate().value();
    pool.register_content(block, {1, 2});
    BOOST_TEST((pool.find({1, 2}) == block));
    BOOST_TEST(!pool.find({1, 3}).has_value());
    pool.release(block);
    BOOST_TEST(pool.num_free() == 2);
    BOOST_TEST((pool.find({1, 2}) == block));
    pool.retain(block);
    BOOST_TEST(pool.num_free() == 1);
    BOOST_TEST(pool.num_references(block) == 1);
    pool.check_integrity();
}

BOOST_AUTO_TEST_CASE(blocks_without_content_are_allocated_first_then_the_least_recently_used) {
    BlockPool pool(4);
    std::vector<BlockId> blocks;
    for (int i = 0; i < 4; ++i) blocks.push_back(pool.allocate().value());
    for (std::uint64_t i = 0; i < 3; ++i) pool.register_content(blocks[i], {i, i});
    pool.release(blocks[1]);
    pool.release(blocks[0]);
    pool.release(blocks[3]);
    pool.release(blocks[2]);
    pool.retain(blocks[1]);  // becomes the most recently used block
    pool.release(blocks[1]);
    for (const std::size_t expected : {3U, 0U, 2U, 1U}) {
        BOOST_TEST(pool.allocate().value() == blocks[expected]);
        pool.check_integrity();
    }
    for (std::uint64_t i = 0; i < 3; ++i) BOOST_TEST(!pool.find({i, i}).has_value());
    BOOST_TEST(pool.num_registered() == 0);
}

BOOST_AUTO_TEST_CASE(the_same_content_is_registered_once) {
    BlockPool pool(2);
    const BlockId first = pool.allocate().value();
    const BlockId second = pool.allocate().value();
    pool.register_content(first, {1, 2});
    pool.register_content(second, {1, 2});
    BOOST_TEST((pool.find({1, 2}) == first));
    BOOST_TEST(!pool.is_registered(second));
    BOOST_CHECK_THROW(pool.register_content(first, {3, 4}), std::logic_error);
    pool.check_integrity();
}

BOOST_AUTO_TEST_CASE(names_in_the_same_bucket_are_distinguished) {
    BlockPool pool(8);
    std::vector<BlockId> blocks;
    for (std::uint64_t i = 0; i < 8; ++i) {
        blocks.push_back(pool.allocate().value());
        pool.register_content(blocks.back(), {64, i});
    }
    for (std::uint64_t i = 0; i < 8; ++i) BOOST_TEST((pool.find({64, i}) == blocks[i]));
    for (const std::size_t i : {3U, 0U, 7U}) pool.release(blocks[i]);
    for (int i = 0; i < 3; ++i) pool.allocate();
    for (std::uint64_t i = 0; i < 8; ++i) {
        BOOST_TEST(pool.find({64, i}).has_value() == (i != 3 && i != 0 && i != 7));
    }
    pool.check_integrity();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard
