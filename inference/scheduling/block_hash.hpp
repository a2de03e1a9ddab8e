// Names for the content of KV blocks: a keyed hash of a block's tokens and of everything before them.
#pragma once

#include <cstdint>
#include <span>

#include "inference/model/config.hpp"

namespace solard {

struct BlockHash {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    bool operator==(const BlockHash&) const = default;
};

// Secret of the process: without it nobody can construct two prompts that share a name.
struct HashKey {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
};

// SipHash-2-4 with 128 bits of output over whole 64-bit words. Source: Aumasson, Bernstein, "SipHash: a fast
// short-input PRF", INDOCRYPT 2012, and the authors' 128-bit extension of it.
BlockHash siphash_128(HashKey key, std::span<const std::uint64_t> words);

// The name of "nothing yet": what a chain begins with. Chains of different salts never meet.
BlockHash root_hash(HashKey key, std::uint64_t salt);
// The name of a block that holds `tokens`, [kv_block_size], after the block named `parent`.
BlockHash chained_hash(HashKey key, const BlockHash& parent, std::span<const TokenId> tokens);

}  // namespace solard
