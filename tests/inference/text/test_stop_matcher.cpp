#include "inference/text/stop_matcher.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <random>

namespace solard {
namespace {

using Strings = std::vector<std::string>;

struct Outcome {
    std::string released;
    std::optional<std::size_t> matched;
};

// Returns the outcome that a matcher must have after `text`. The function tries every place in the text.
Outcome reference(const Strings& stops, std::string_view text) {
    for (std::size_t end = 1; end <= text.size(); ++end) {
        Outcome outcome;
        std::size_t longest = 0;
        for (std::size_t i = 0; i < stops.size(); ++i) {
            if (text.substr(0, end).ends_with(stops[i]) && stops[i].size() > longest) {
                longest = stops[i].size();
                outcome = {std::string(text.substr(0, end - longest)), i};
            }
        }
        if (outcome.matched) return outcome;
    }
    for (std::size_t begin = 0; begin < text.size(); ++begin) {
        for (const std::string& stop : stops) {
            if (stop.starts_with(text.substr(begin)))
                return {std::string(text.substr(0, begin)), std::nullopt};
        }
    }
    return {std::string(text), std::nullopt};
}

// Feeds `text` in parts, and compares the matcher with reference() after each part. Bit i of `cuts` asks for
// a cut after byte i.
void check_split(const Strings& stops, const std::string& text, std::uint32_t cuts) {
    StopMatcher matcher(stops);
    std::string out;
    std::size_t begin = 0;
    for (std::size_t end = 1; end <= text.size(); ++end) {
        if (end < text.size() && ((cuts >> (end - 1)) & 1) == 0) continue;
        const bool stopped = matcher.append(std::string_view(text).substr(begin, end - begin), out);
        begin = end;
        const Outcome expected = reference(stops, std::string_view(text).substr(0, end));
        BOOST_REQUIRE_EQUAL(out, expected.released);
        BOOST_REQUIRE_EQUAL(stopped, expected.matched.has_value());
        BOOST_REQUIRE(matcher.matched() == expected.matched);
        if (stopped) return;
    }
    matcher.flush(out);
    BOOST_REQUIRE_EQUAL(out, text);
}

// Returns the outcome at the end of a whole text with parts that are not searched.
Outcome whole_reference(const Strings& stops, const UnsearchedParts& parts, const std::string& text) {
    std::vector<bool> is_unsearched(text.size());
    for (std::size_t begin = 0; (begin = text.find(parts.begin, begin)) != std::string::npos;) {
        const std::size_t close = text.find(parts.end, begin + parts.begin.size());
        const std::size_t end = close == std::string::npos ? text.size() : close + parts.end.size();
        for (; begin < end; ++begin) is_unsearched[begin] = true;
    }
    for (std::size_t end = 1; end <= text.size(); ++end) {
        Outcome outcome;
        std::size_t longest = 0;
        for (std::size_t i = 0; i < stops.size(); ++i) {
            const std::size_t size = stops[i].size();
            if (size <= longest || !std::string_view(text).substr(0, end).ends_with(stops[i])) continue;
            bool counts = true;
            for (std::size_t at = end - size; at < end; ++at) counts = counts && !is_unsearched[at];
            if (!counts) continue;
            longest = size;
            outcome = {text.substr(0, end - size), i};
        }
        if (outcome.matched) return outcome;
    }
    return {text, std::nullopt};
}

void check_every_split(const Strings& stops, const std::string& text) {
    for (std::uint32_t cuts = 0; cuts < (1U << (text.size() - 1)); ++cuts) check_split(stops, text, cuts);
}

BOOST_AUTO_TEST_SUITE(stop_matcher)

BOOST_AUTO_TEST_CASE(without_stop_strings_everything_is_released_at_once) {
    StopMatcher matcher;
    std::string out;
    BOOST_TEST(!matcher.append("anything", out));
    BOOST_TEST(out == "anything");
    matcher.flush(out);
    BOOST_TEST(out == "anything");
    BOOST_TEST(!matcher.matched().has_value());
}

BOOST_AUTO_TEST_CASE(text_ends_before_the_stop_string) {
    StopMatcher matcher({"\n\n", "END"});
    std::string out;
    BOOST_TEST(!matcher.append("one\ntwo E", out));
    BOOST_TEST(out == "one\ntwo ");
    BOOST_TEST(!matcher.append("N", out));
    BOOST_TEST(out == "one\ntwo ");
    BOOST_TEST(matcher.append("D and more", out));
    BOOST_TEST(out == "one\ntwo ");
    BOOST_TEST((matcher.matched() == 1U));
    matcher.flush(out);
    BOOST_TEST(out == "one\ntwo ");
}

BOOST_AUTO_TEST_CASE(held_text_is_released_when_it_can_no_longer_match) {
    StopMatcher matcher({"aab"});
    std::string out;
    BOOST_TEST(!matcher.append("aa", out));
    BOOST_TEST(out == "");
    BOOST_TEST(!matcher.append("a", out));  // "aa" may still begin a match
    BOOST_TEST(out == "a");
    BOOST_TEST(!matcher.append("c", out));
    BOOST_TEST(out == "aaac");
}

BOOST_AUTO_TEST_CASE(match_that_is_complete_first_wins) {
    StopMatcher matcher({"abcd", "bc"});
    std::string out;
    BOOST_TEST(matcher.append("xabcd", out));
    BOOST_TEST(out == "xa");
    BOOST_TEST((matcher.matched() == 1U));
}

BOOST_AUTO_TEST_CASE(longest_of_the_matches_that_end_together_wins) {
    StopMatcher matcher({"c", "bc", "abc"});
    std::string out;
    BOOST_TEST(matcher.append("xabc", out));
    BOOST_TEST(out == "x");
    BOOST_TEST((matcher.matched() == 2U));
}

BOOST_AUTO_TEST_CASE(difficult_texts_agree_with_the_reference_in_every_split) {
    check_every_split({"aab"}, "aaaacaab");
    check_every_split({"abab", "bb"}, "abaabababb");
    check_every_split({"abcabd", "cab"}, "abcabcabd");
    check_every_split({"\n\n### User:"}, "a\n\n\n### User");
    check_every_split({"\xEC\x95\x88", "\xEC\x95\x89"}, "\xEC\x95\x8A\xEC\x95\x89");
    check_every_split({"a", "a"}, "ba");
    check_every_split({std::string("\0", 1)}, std::string("x\0y", 3));
}

BOOST_AUTO_TEST_CASE(random_texts_agree_with_the_reference) {
    std::mt19937 random(715517);  // NOLINT(bugprone-random-generator-seed): the same texts each time
    const auto random_text = [&](std::size_t max_size) {
        std::string text(1 + random() % max_size, '\0');
        for (char& c : text) c = static_cast<char>('a' + random() % 2);
        return text;
    };
    for (int round = 0; round < 20'000; ++round) {
        Strings stops(1 + random() % 4);
        for (std::string& stop : stops) stop = random_text(7);
        const std::string text = random_text(24);
        check_split(stops, text, ~0U);
        check_split(stops, text, static_cast<std::uint32_t>(random()));
        check_split(stops, text, 0);
    }
}

// Without unsearched parts, the text would end at its first stop string.
BOOST_AUTO_TEST_CASE(no_stop_string_counts_in_unsearched_parts) {
    const std::string text = "a [[ stop [[ ]] b [ stop";
    for (std::uint32_t cuts : {0U, 0xFFFFFFFFU, 0x5555U, 0x33333U}) {
        StopMatcher matcher({"stop", "]] b [ s"}, {"[[", "]]"});
        std::string out;
        std::size_t begin = 0;
        for (std::size_t end = 1; end <= text.size(); ++end) {
            if (end < text.size() && ((cuts >> (end - 1)) & 1) == 0) continue;
            BOOST_TEST(matcher.append(text.substr(begin, end - begin), out) == (end == text.size()));
            begin = end;
        }
        BOOST_TEST(out == "a [[ stop [[ ]] b [ ");
        BOOST_TEST(*matcher.matched() == 0U);
    }
}

BOOST_AUTO_TEST_CASE(stop_string_that_overlaps_the_beginning_of_a_part_does_not_count) {
    const auto outcome = [](const Strings& stops, std::string_view text) {
        StopMatcher matcher(stops, {"<call>", "</call>"});
        std::string out;
        if (!matcher.append(text, out)) matcher.flush(out);
        return out + (matcher.matched() ? " stop" : "");
    };
    for (const char* stop : {">", "call", "<", "<call>", "a <", "l>", "call>x"}) {
        BOOST_TEST(outcome({stop}, "a <call>x</call>") == "a <call>x</call>", stop);
    }
    BOOST_TEST(outcome({"call"}, "a <calm call") == "a <calm  stop");
    BOOST_TEST(outcome({"cal"}, "a <calm") == "a < stop");
    BOOST_TEST(outcome({"cal"}, "a <cal") == "a < stop");
    BOOST_TEST(outcome({">"}, "a <call>x</call> >") == "a <call>x</call>  stop");
}

BOOST_AUTO_TEST_CASE(random_texts_with_unsearched_parts_agree_with_the_reference) {
    std::mt19937 random(20261130);  // NOLINT(bugprone-random-generator-seed): the same texts each time
    const auto random_text = [&](std::size_t max_size) {
        std::string text(1 + random() % max_size, '\0');
        for (char& c : text) c = static_cast<char>('a' + random() % 3);
        return text;
    };
    for (int round = 0; round < 20'000; ++round) {
        Strings stops(1 + random() % 3);
        for (std::string& stop : stops) stop = random_text(4);
        const UnsearchedParts parts{random_text(4), random_text(3)};
        const std::string text = random_text(24);
        const Outcome expected = whole_reference(stops, parts, text);
        for (const std::uint32_t cuts : {0U, ~0U, static_cast<std::uint32_t>(random())}) {
            StopMatcher matcher(stops, parts);
            std::string out;
            std::size_t begin = 0;
            bool stopped = false;
            for (std::size_t end = 1; end <= text.size() && !stopped; ++end) {
                if (end < text.size() && ((cuts >> (end - 1)) & 1) == 0) continue;
                stopped = matcher.append(std::string_view(text).substr(begin, end - begin), out);
                begin = end;
            }
            if (!stopped) matcher.flush(out);
            BOOST_REQUIRE_EQUAL(out, expected.released);
            BOOST_REQUIRE(matcher.matched() == expected.matched);
        }
    }
}

BOOST_AUTO_TEST_CASE(unsearched_part_may_have_to_be_at_the_start) {
    for (const std::string text : {"a <<x", "<a <<x"}) {
        StopMatcher matcher({"x"}, {"<<", ">", true});
        std::string out;
        BOOST_TEST(matcher.append(text, out), text);
    }
    StopMatcher matcher({"x"}, {"<<", ">", true});
    std::string out;
    BOOST_TEST(!matcher.append("<<x> <<x>", out));
    BOOST_TEST(matcher.append("x", out));
    BOOST_TEST(out == "<<x> <<x>");
}

BOOST_AUTO_TEST_CASE(unsearched_part_without_an_end_is_the_rest) {
    StopMatcher matcher({"x"}, {"<", ""});
    std::string out;
    BOOST_TEST(!matcher.append("a <x>x", out));
    BOOST_TEST(out == "a <x>x");
    StopMatcher other({"x"}, {"<", ">"});
    out.clear();
    other.pass("x <", out);
    BOOST_TEST(!other.append("x>", out));
    BOOST_TEST(other.append("x", out));
    BOOST_TEST(out == "x <x>");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard
