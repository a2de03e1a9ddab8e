// A text whose characters know where they come from.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace solard {

// Says whether characters may be part of a special token. The characters of a chat template and of the
// folder's own configuration may be; the characters of a request, and those made from its values, may not.
enum class Trust : bool { untrusted, trusted };

// A string in which each byte is trusted or not. The parts of a MarkedText keep their marks.
class MarkedText {
  public:
    // Bytes with the same mark. A run begins where the run before it ends, and neighbours differ in trust.
    struct Run {
        std::size_t end;
        Trust trust;
    };

    MarkedText() = default;
    MarkedText(std::string bytes, Trust trust);

    const std::string& bytes() const { return bytes_; }
    std::span<const Run> runs() const { return runs_; }
    std::size_t size() const { return bytes_.size(); }
    bool empty() const { return bytes_.empty(); }

    void append(std::string_view bytes, Trust trust);
    void append(const MarkedText& other) { append_part(other, 0, other.size()); }
    // Appends the bytes [begin, begin + size) of `other`, which must exist. `other` must not be this text.
    void append_part(const MarkedText& other, std::size_t begin, std::size_t size);
    MarkedText part(std::size_t begin, std::size_t size) const;
    // Returns the trust of the byte at `offset`, which must exist.
    Trust trust_at(std::size_t offset) const;
    // Return true if all bytes in [begin, begin + size) are trusted, or none of them. `size` must not be 0,
    // and the bytes must exist.
    bool is_trusted(std::size_t begin, std::size_t size) const { return is_all(Trust::trusted, begin, size); }
    bool is_untrusted(std::size_t begin, std::size_t size) const {
        return is_all(Trust::untrusted, begin, size);
    }

  private:
    bool is_all(Trust trust, std::size_t begin, std::size_t size) const;
    std::size_t run_at(std::size_t offset) const;
    void end_run(Trust trust);

    std::string bytes_;
    std::vector<Run> runs_;
};

}  // namespace solard
