// Deterministic automata for sets of texts.
#pragma once

#include <cstddef>
#include <vector>

#include "inference/error.hpp"
#include "inference/grammar/regex.hpp"

namespace solard {

// Reads a text character by character. From each state, an accepting state can be reached.
struct TextAutomaton {
    struct Transition {
        CharacterSet characters;
        std::size_t target;  // index into `states`
    };
    struct State {
        bool accepts = false;
        std::vector<Transition> transitions;  // their characters are disjoint
    };
    std::vector<State> states;  // the first one is the initial state
};

// How many characters a text may have.
struct TextLength {
    static constexpr int unlimited = -1;
    int min = 0;
    int max = unlimited;
};

// Returns the automaton of the texts that match the expression and have an allowed length. Errors:
// invalid_request, with a clause as message, if there is no such text, or if the automaton is too large.
result<TextAutomaton> make_automaton(const Regex& regex, TextLength length);

}  // namespace solard
