// Names for the content of KV blocks. A name is a keyed hash of the block's tokens and of all tokens before
// them.
#pragma once

#include <cstdint>
#include <span>

#include "inference/token_id.hpp"

namespace solard {

struct BlockHash {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    bool operator==(const BlockHash&) const = default;
};

// A secret of the process. Without the key, nobody can construct two different blocks with the same name.
struct HashKey {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
};

// Computes SipHash-2-4 with 128 bits of output over whole 64-bit words. Source: Aumasson, Bernstein,
// "SipHash: a fast short-input PRF", INDOCRYPT 2012, and the authors' 128-bit extension of it.
BlockHash siphash_128(HashKey key, std::span<const std::uint64_t> words);

// Returns the name that serves as `parent` of a prompt's first block. Blocks of prompts with different salts
// never share a name.
BlockHash root_hash(HashKey key, std::uint64_t salt);
// Returns the name of a block that holds `tokens`, [kv_block_size], and follows the block named `parent`.
BlockHash chained_hash(HashKey key, const BlockHash& parent, std::span<const TokenId> tokens);

}  // namespace solard
