#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "server/generation/compile_process.hpp"
#include "tests/support/check_refused.hpp"
#include "tests/support/demo_tokenizer.hpp"

namespace solard::server {
namespace {

using Kind = GrammarSource::Kind;
using std::chrono::seconds;

constexpr std::uint64_t one_gib = std::uint64_t{1} << 30;

const GrammarVocabulary& vocabulary() {
    static const GrammarVocabulary made = grammar_vocabulary(demo_tokenizer(), 2048, std::vector<TokenId>{2});
    return made;
}

const SharedVocabulary& shared() {
    static const SharedVocabulary made(vocabulary());
    return made;
}

std::size_t num_open_descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::size_t num_children() {
    std::ifstream file("/proc/thread-self/children");
    return static_cast<std::size_t>(
        std::distance(std::istream_iterator<int>(file), std::istream_iterator<int>()));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(compile_process,
                      *boost::unit_test::precondition([](auto) { return can_compile_grammars(); }))

BOOST_AUTO_TEST_CASE(child_compiles_what_this_process_would_compile) {
    const GrammarSource source{Kind::json_schema,
                               R"({"type":"object","properties":{"a":{"type":"integer"}}})"};
    const auto found = compile_in_child(source, shared(), {.time = seconds(30), .memory = one_gib});
    BOOST_REQUIRE_MESSAGE(found.has_value(), found.error().message);
    BOOST_TEST(*found == compile_grammar(source, vocabulary()).value());
}

BOOST_AUTO_TEST_CASE(wrong_grammar_is_refused_with_the_reason_of_the_library) {
    const auto found = compile_in_child({Kind::gbnf, "root ::= missing"}, shared(),
                                        {.time = seconds(30), .memory = one_gib});
    BOOST_REQUIRE(found.has_error());
    BOOST_TEST((found.error().code == errc::invalid_value));
    BOOST_TEST(found.error().message.find("missing") != std::string::npos, found.error().message);
}

BOOST_AUTO_TEST_CASE(what_the_library_only_warns_about_is_refused) {
    const auto found =
        compile_in_child({Kind::lark, "start: /a(?=b)/"}, shared(), {.time = seconds(30), .memory = one_gib});
    BOOST_REQUIRE(found.has_error());
    BOOST_TEST((found.error().code == errc::invalid_value));
    BOOST_TEST(found.error().message.find("ookahead") != std::string::npos, found.error().message);
}

// No process can start and compile anything in this time.
BOOST_AUTO_TEST_CASE(work_beyond_the_deadline_is_ended_and_leaves_nothing_behind) {
    shared();
    const std::size_t descriptors = num_open_descriptors();
    const auto found = compile_in_child({Kind::json_object, ""}, shared(),
                                        {.time = std::chrono::microseconds(1), .memory = one_gib});
    BOOST_REQUIRE(found.has_error());
    BOOST_TEST((found.error().code == errc::invalid_value));
    BOOST_TEST(found.error().message.find("--grammar-timeout") != std::string::npos, found.error().message);
    BOOST_TEST(num_open_descriptors() == descriptors);
    BOOST_TEST(num_children() == 0U);
}

BOOST_AUTO_TEST_CASE(process_that_hardly_ran_is_the_fault_of_the_machine) {
    const CompileLimits limits{.time = seconds(1), .memory = one_gib};
    BOOST_TEST((late_error(std::chrono::milliseconds(499), limits).code == errc::server_overloaded));
    BOOST_TEST((late_error(std::chrono::milliseconds(500), limits).code == errc::invalid_value));
}

// Sanitizers need more address space than any limit allows, so their builds set none.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
BOOST_AUTO_TEST_CASE(child_without_enough_memory_is_a_grammar_that_needs_too_much) {
    const auto found = compile_in_child({Kind::json_object, ""}, shared(),
                                        {.time = seconds(30), .memory = std::uint64_t{1} << 16});
    BOOST_REQUIRE(found.has_error());
    BOOST_TEST((found.error().code == errc::invalid_value));
    BOOST_TEST(found.error().message.find("--grammar-memory") != std::string::npos, found.error().message);
}
#endif

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
