// Checks how many answers clients get from a server that has more work than it can do. The clients behave in
// different ways.
#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <span>

#include "tests/simulation/admission.hpp"

namespace solard::server {
namespace {

using Client = AdmissionSimulation::Client;

constexpr std::uint64_t num_seeds = 24;

// The results of a group of clients.
struct Sum {
    int answered = 0;
    int unanswered = 0;
    std::int64_t tokens = 0;
    int fewest_answers = 1'000'000;  // the number of answers of the client that got the fewest
    double answered_part() const {
        return answered / static_cast<double>(std::max(answered + unanswered, 1));
    }
};

Sum sum_of(std::span<const Client> clients) {
    Sum sum;
    for (const Client& client : clients) {
        sum.answered += client.answered;
        sum.unanswered += client.unanswered;
        sum.tokens += client.tokens;
        sum.fewest_answers = std::min(sum.fewest_answers, client.answered);
    }
    return sum;
}

constexpr Manner obedient{};
constexpr Manner pooled{.shares_pool = true, .counts_retries = true};
constexpr Manner rude{.max_attempts = 1'000'000, .waits_as_told = false};
constexpr Manner reconnecting{.max_attempts = 1'000'000, .waits_as_told = false, .reconnects = true};
constexpr Manner patient{.seconds_between_calls = 1, .min_tokens = 1, .max_tokens = 3};
constexpr Manner modest{.max_attempts = 1, .seconds_between_calls = 4, .min_tokens = 1, .max_tokens = 3};

SimulatedMachine machine_of(std::uint64_t seed) {
    constexpr std::array machines{SimulatedMachine{8, 32}, SimulatedMachine{2, 6}, SimulatedMachine{16, 128},
                                  SimulatedMachine{1, 8}};
    return machines[seed % machines.size()];
}

// Runs `check` with several seeds. The machine depends on the seed.
template <class Check>
void for_each_seed(Check check) {
    for (std::uint64_t seed = 1; seed <= num_seeds; ++seed) {
        const SimulatedMachine machine = machine_of(seed);
        BOOST_TEST_CONTEXT("seed " << seed << ": " << machine.max_running << " running, "
                                   << machine.max_queued << " waiting") {
            check(machine, seed);
        }
    }
}

void check_never_idle(const AdmissionSimulation& simulation) {
    BOOST_TEST(simulation.idle_slots() <= simulation.tokens() / 100);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(admission)

BOOST_AUTO_TEST_CASE(newcomers_from_another_network_are_always_answered) {
    for (const Manner& flood : {rude, reconnecting})
        for_each_seed([&](const SimulatedMachine& machine, std::uint64_t seed) {
            AdmissionSimulation simulation(machine, seed);
            simulation.add_clients(100, 1, flood);
            const auto first = simulation.add_clients(2, 2, patient, 5);
            simulation.run(60);
            const Sum newcomers = sum_of(std::span(simulation.clients()).subspan(first));
            BOOST_TEST(newcomers.unanswered == 0);
            BOOST_TEST(newcomers.fewest_answers >= 8);
            check_never_idle(simulation);
        });
}

// The machine is so large that each newcomer asks for less than an equal share of it.
BOOST_AUTO_TEST_CASE(newcomers_on_kept_connections_of_the_same_network_are_answered) {
    for (const Manner& flood : {rude, reconnecting})
        for (std::uint64_t seed = 1; seed <= num_seeds; ++seed) {
            AdmissionSimulation simulation({.max_running = 16, .max_queued = 32}, seed);
            simulation.add_clients(60, 1, flood);
            const auto first = simulation.add_clients(4, 1, patient, 5);
            simulation.run(100);
            const Sum newcomers = sum_of(std::span(simulation.clients()).subspan(first));
            BOOST_TEST_CONTEXT("seed " << seed) {
                BOOST_TEST(newcomers.answered_part() >= 0.95);
                BOOST_TEST(newcomers.fewest_answers >= 10);
            }
        }
}

// The rude clients share the server so equally that none of those which wait has used more than the average.
// A newcomer that makes a single attempt per call gets its turn nevertheless, because its attempts count as
// waiting.
BOOST_AUTO_TEST_CASE(newcomers_that_never_retry_are_answered_beside_rude_ones_of_the_same_network) {
    for (const double begin : {0, 20})
        for (std::uint64_t seed = 1; seed <= num_seeds; ++seed) {
            AdmissionSimulation simulation({.max_running = 8, .max_queued = 24}, seed);
            simulation.add_clients(100, 1, rude);
            const auto first = simulation.add_clients(4, 1, modest, begin);
            simulation.run(begin + 100);
            const Sum newcomers = sum_of(std::span(simulation.clients()).subspan(first));
            BOOST_TEST_CONTEXT("seed " << seed << ", begin " << begin) {
                BOOST_TEST(newcomers.answered_part() >= 0.85);
                BOOST_TEST(newcomers.fewest_answers >= 18);
            }
        }
}

BOOST_AUTO_TEST_CASE(at_twice_the_load_clients_that_wait_as_told_are_answered_within_three_attempts) {
    for (const Manner& manner : {obedient, pooled})
        for_each_seed([&](const SimulatedMachine& machine, std::uint64_t seed) {
            AdmissionSimulation simulation(machine, seed);
            simulation.add_clients(2 * machine.num_places(), 1, manner);
            simulation.run(120);
            const Sum sum = sum_of(simulation.clients());
            BOOST_TEST(sum.answered_part() >= 0.9);
            check_never_idle(simulation);
        });
}

BOOST_AUTO_TEST_CASE(a_burst_of_twice_what_fits_is_answered_within_three_attempts) {
    for (Manner manner : {obedient, pooled}) {
        manner.max_calls = 1;
        for_each_seed([&](const SimulatedMachine& machine, std::uint64_t seed) {
            AdmissionSimulation simulation(machine, seed);
            // Before the second burst, the server has measured its speed. The third burst comes after a
            // pause.
            for (const double begin : {0, 100, 1000})
                simulation.add_clients(2 * machine.num_places(), 1, manner, begin);
            simulation.run(1200);
            const Sum sum = sum_of(simulation.clients());
            BOOST_TEST(sum.answered_part() >= 0.9);
            BOOST_TEST(sum.answered + sum.unanswered == 6 * machine.num_places());
        });
    }
}

BOOST_AUTO_TEST_CASE(at_ten_times_the_load_the_engine_is_never_idle) {
    for (const Manner& manner : {obedient, pooled, rude, reconnecting})
        for_each_seed([&](const SimulatedMachine& machine, std::uint64_t seed) {
            AdmissionSimulation simulation(machine, seed);
            simulation.add_clients(10 * machine.num_places(), 1, manner);
            simulation.run(60);
            check_never_idle(simulation);
            // A displaced request has cost work in vain, so displacing must not become the rule.
            BOOST_TEST(simulation.num_displaced() <= 4 * sum_of(simulation.clients()).answered);
        });
}

BOOST_AUTO_TEST_CASE(clients_that_wait_as_told_are_answered_beside_rude_ones) {
    for_each_seed([&](const SimulatedMachine& machine, std::uint64_t seed) {
        AdmissionSimulation simulation(machine, seed);
        simulation.add_clients(machine.num_places(), 1, rude);
        const auto first = simulation.add_clients(machine.num_places(), 1, obedient);
        simulation.run(200);
        const std::span clients(simulation.clients());
        const Sum polite = sum_of(clients.subspan(first));
        BOOST_TEST(polite.answered_part() >= 0.9);
        BOOST_TEST(polite.fewest_answers > 0);
        BOOST_TEST(static_cast<double>(polite.tokens) >=
                   0.6 * static_cast<double>(sum_of(clients.first(first)).tokens));
    });
}

BOOST_AUTO_TEST_CASE(reconnecting_gains_nothing) {
    for_each_seed([&](const SimulatedMachine& machine, std::uint64_t seed) {
        AdmissionSimulation simulation(machine, seed);
        const auto first = simulation.add_clients(2 * machine.num_places(), 1, rude);
        const auto second = simulation.add_clients(2 * machine.num_places(), 1, reconnecting);
        simulation.run(100);
        const std::span clients(simulation.clients());
        const auto staying = static_cast<double>(sum_of(clients.subspan(first, second - first)).tokens);
        BOOST_TEST(static_cast<double>(sum_of(clients.subspan(second)).tokens) <= 1.1 * staying);
    });
}

BOOST_AUTO_TEST_CASE(a_network_gets_its_half_however_many_connections_the_other_one_has) {
    for_each_seed([&](const SimulatedMachine& machine, std::uint64_t seed) {
        AdmissionSimulation simulation(machine, seed);
        const auto many = simulation.add_clients(4 * machine.num_places(), 1, rude);
        const auto few = simulation.add_clients(machine.num_places(), 2, obedient);
        simulation.run(100);
        const std::span clients(simulation.clients());
        const auto others = static_cast<double>(sum_of(clients.subspan(many, few - many)).tokens);
        const Sum sum = sum_of(clients.subspan(few));
        BOOST_TEST(static_cast<double>(sum.tokens) >= 0.8 * others);
        BOOST_TEST(sum.answered_part() >= 0.9);
    });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
