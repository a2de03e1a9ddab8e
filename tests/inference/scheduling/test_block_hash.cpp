#include <boost/test/unit_test.hpp>
#include <numeric>
#include <vector>

#include "inference/backend.hpp"
#include "inference/scheduling/block_hash.hpp"

namespace solard {
namespace {

constexpr HashKey published_key{0x0706050403020100, 0x0f0e0d0c0b0a0908};  // bytes 00 01 .. 0f

// Returns the bytes 00 01 02 .. as little-endian words.
std::vector<std::uint64_t> counting_words(std::size_t count) {
    std::vector<std::uint64_t> words(count);
    std::iota(words.begin(), words.end(), 0);
    for (std::uint64_t& word : words) word = 0x0706050403020100 + word * 0x0808080808080808;
    return words;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(block_hash)

// The values come from OpenSSL 3.0: openssl mac -macopt hexkey:0001..0f -macopt size:16 -in FILE siphash. The
// first value is also the first test vector that the authors of SipHash published.
BOOST_AUTO_TEST_CASE(siphash_returns_the_known_answers) {
    BOOST_TEST((siphash_128(published_key, {}) == BlockHash{0xe6a825ba047f81a3, 0x930255c71472f66d}));
    BOOST_TEST(
        (siphash_128(published_key, counting_words(1)) == BlockHash{0x61f55862baa9623b, 0xb49714f364e2830f}));
    BOOST_TEST(
        (siphash_128(published_key, counting_words(2)) == BlockHash{0xbb54b067caa4e26e, 0x77052385bf1533fd}));
    BOOST_TEST((siphash_128(published_key, counting_words(10)) ==
                BlockHash{0xf870437ae16ac7d2, 0x22f80d5a79a4fb58}));
}

BOOST_AUTO_TEST_CASE(a_name_depends_on_key_salt_tokens_and_all_earlier_blocks) {
    const std::vector<TokenId> tokens(kv_block_size, 5);
    std::vector<TokenId> other = tokens;
    other.back() = 6;
    const BlockHash root = root_hash(published_key, 1);
    const BlockHash name = chained_hash(published_key, root, tokens);
    BOOST_TEST((name == chained_hash(published_key, root, tokens)));
    BOOST_TEST((name != chained_hash(published_key, root, other)));
    BOOST_TEST((name != chained_hash(published_key, root_hash(published_key, 2), tokens)));
    BOOST_TEST((name != chained_hash(published_key, name, tokens)));
    const HashKey another{published_key.low, published_key.high + 1};
    BOOST_TEST((name != chained_hash(another, root_hash(another, 1), tokens)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard
