#include "inference/scheduling/block_hash.hpp"

#include <array>
#include <bit>

#include "inference/backend.hpp"

namespace solard {
namespace {

struct SipState {
    std::uint64_t v0, v1, v2, v3;

    void rounds(int count) {
        for (int i = 0; i < count; ++i) {
            v0 += v1;
            v2 += v3;
            v1 = std::rotl(v1, 13) ^ v0;
            v3 = std::rotl(v3, 16) ^ v2;
            v0 = std::rotl(v0, 32);
            v2 += v1;
            v0 += v3;
            v1 = std::rotl(v1, 17) ^ v2;
            v3 = std::rotl(v3, 21) ^ v0;
            v2 = std::rotl(v2, 32);
        }
    }
    void absorb(std::uint64_t word) {
        v3 ^= word;
        rounds(2);
        v0 ^= word;
    }
    std::uint64_t squeeze() {
        rounds(4);
        return v0 ^ v1 ^ v2 ^ v3;
    }
};

}  // namespace

BlockHash siphash_128(HashKey key, std::span<const std::uint64_t> words) {
    SipState state{.v0 = key.low ^ 0x736f6d6570736575,
                   .v1 = key.high ^ 0x646f72616e646f6d ^ 0xee,
                   .v2 = key.low ^ 0x6c7967656e657261,
                   .v3 = key.high ^ 0x7465646279746573};
    for (const std::uint64_t word : words) state.absorb(word);
    state.absorb(std::uint64_t{words.size() * sizeof(std::uint64_t)} << 56);
    state.v2 ^= 0xee;
    BlockHash hash;
    hash.low = state.squeeze();
    state.v1 ^= 0xdd;
    hash.high = state.squeeze();
    return hash;
}

BlockHash root_hash(HashKey key, std::uint64_t salt) {
    return siphash_128(key, {&salt, 1});
}

BlockHash chained_hash(HashKey key, const BlockHash& parent, std::span<const TokenId> tokens) {
    std::array<std::uint64_t, 2 + kv_block_size> words{parent.low, parent.high};
    for (std::size_t i = 0; i < kv_block_size; ++i) {
        words[2 + i] = static_cast<std::uint64_t>(tokens[i]);
    }
    return siphash_128(key, words);
}

}  // namespace solard
