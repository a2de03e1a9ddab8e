#include "inference/grammar/text_automaton.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>

namespace solard {
namespace {

// The compiler computes a mask of the vocabulary for each state of the automaton.
constexpr std::size_t max_states = 1000;
constexpr std::size_t max_nodes = 50'000;

// A node of a nondeterministic automaton (Thompson, Regular Expression Search Algorithm, 1968).
struct Node {
    CharacterSet characters;        // read on the way to `next`; empty if nothing is read
    std::vector<std::size_t> next;  // one node if characters are read
};

struct TooLarge {};

class NodeBuilder {
  public:
    // Adds the nodes of the expression. Returns the first of them; they lead to `end`.
    std::size_t add(const Regex& regex, std::size_t end) {
        switch (regex.kind) {
            case Regex::Kind::characters:
                // Without characters, no text matches.
                if (regex.characters.empty()) return add_node({});
                return add_node({regex.characters, {end}});
            case Regex::Kind::sequence: {
                std::size_t begin = end;
                for (std::size_t i = regex.parts.size(); i > 0; --i) begin = add(regex.parts[i - 1], begin);
                return begin;
            }
            case Regex::Kind::choice: {
                Node node;
                for (const Regex& part : regex.parts) node.next.push_back(add(part, end));
                return add_node(std::move(node));
            }
            case Regex::Kind::repetition:
                break;
        }
        const Regex& part = regex.parts.front();
        std::size_t begin = end;
        if (regex.max == Regex::unlimited) {
            begin = add_node({{}, {end}});
            const std::size_t again = add(part, begin);
            nodes[begin].next.push_back(again);
        } else {
            for (int i = regex.min; i < regex.max; ++i) {
                const std::size_t once_more = add(part, begin);
                if (once_more == begin) break;  // the part has no characters
                begin = add_node({{}, {once_more, end}});
            }
        }
        for (int i = 0; i < regex.min; ++i) {
            const std::size_t once_more = add(part, begin);
            if (once_more == begin) break;
            begin = once_more;
        }
        return begin;
    }
    std::size_t add_node(Node node) {
        if (nodes.size() == max_nodes) throw TooLarge();
        nodes.push_back(std::move(node));
        return nodes.size() - 1;
    }

    std::vector<Node> nodes;
};

class Determinizer {
  public:
    Determinizer(const std::vector<Node>& nodes, std::size_t end, TextLength length)
        : nodes_(nodes), end_(end), length_(length) {}

    TextAutomaton run(std::size_t begin) {
        state_of({begin}, 0);
        for (std::size_t i = 0; i < keys_.size(); ++i) {
            const Key& key = *keys_[i];
            if (key.length != length_.max) add_transitions(i, key);
        }
        return std::move(automaton_);
    }

  private:
    struct Key {
        std::vector<std::size_t> nodes;  // in ascending order
        int length;                      // of the text so far, as far as it matters
        auto operator<=>(const Key&) const = default;
    };

    // Returns the state of these nodes and all nodes that are reached from them without a character.
    std::size_t state_of(std::vector<std::size_t> nodes, int length) {
        std::vector<bool> is_seen(nodes_.size());
        for (const std::size_t node : nodes) is_seen[node] = true;
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            const Node& node = nodes_[nodes[i]];
            if (!node.characters.empty()) continue;
            for (const std::size_t next : node.next) {
                if (is_seen[next]) continue;
                is_seen[next] = true;
                nodes.push_back(next);
            }
        }
        const bool accepts = is_seen[end_] && length >= length_.min;
        std::erase_if(nodes,
                      [&](std::size_t node) { return nodes_[node].characters.empty() && node != end_; });
        std::ranges::sort(nodes);
        const auto [found, is_new] = states_.try_emplace(Key{std::move(nodes), length}, keys_.size());
        if (is_new) {
            if (keys_.size() == max_states) throw TooLarge();
            keys_.push_back(&found->first);
            automaton_.states.push_back({accepts, {}});
        }
        return found->second;
    }

    void add_transitions(std::size_t state, const Key& key) {
        std::vector<char32_t> borders;  // where the set of reached nodes can change
        for (const std::size_t node : key.nodes)
            for (const CharacterRange& range : nodes_[node].characters)
                borders.insert(borders.end(), {range.first, range.last + 1});
        std::ranges::sort(borders);
        borders.erase(std::ranges::unique(borders).begin(), borders.end());
        const bool length_matters = length_.max != TextLength::unlimited || key.length < length_.min;
        const int length = length_matters ? key.length + 1 : key.length;
        std::map<std::vector<std::size_t>, CharacterSet> targets;
        for (std::size_t i = 0; i + 1 < borders.size(); ++i) {
            std::vector<std::size_t> reached;
            for (const std::size_t node : key.nodes)
                if (contains(nodes_[node].characters, borders[i]))
                    reached.push_back(nodes_[node].next.front());
            if (!reached.empty()) targets[std::move(reached)].push_back({borders[i], borders[i + 1] - 1});
        }
        std::map<std::size_t, CharacterSet> transitions;
        for (const auto& [nodes, characters] : targets) {
            CharacterSet& set = transitions[state_of(nodes, length)];
            set = unite(set, characters);
        }
        for (auto& [target, characters] : transitions)
            automaton_.states[state].transitions.push_back({std::move(characters), target});
    }

    static bool contains(const CharacterSet& set, char32_t c) {
        const auto after = std::ranges::upper_bound(set, c, {}, &CharacterRange::first);
        return after != set.begin() && c <= std::prev(after)->last;
    }

    const std::vector<Node>& nodes_;
    std::size_t end_;
    TextLength length_;
    TextAutomaton automaton_;
    std::map<Key, std::size_t> states_;
    std::vector<const Key*> keys_;  // of the states
};

// Removes the states from which no accepting state can be reached. Returns false if the first one is among
// them.
bool remove_dead_ends(TextAutomaton& automaton) {
    std::vector<std::vector<std::size_t>> sources(automaton.states.size());
    std::vector<std::size_t> alive;
    std::vector<bool> is_alive(automaton.states.size());
    for (std::size_t i = 0; i < automaton.states.size(); ++i) {
        for (const auto& transition : automaton.states[i].transitions)
            sources[transition.target].push_back(i);
        if (!automaton.states[i].accepts) continue;
        is_alive[i] = true;
        alive.push_back(i);
    }
    for (std::size_t i = 0; i < alive.size(); ++i) {
        for (const std::size_t source : sources[alive[i]]) {
            if (is_alive[source]) continue;
            is_alive[source] = true;
            alive.push_back(source);
        }
    }
    if (!is_alive.front()) return false;
    std::vector<std::size_t> new_index(automaton.states.size());
    std::vector<TextAutomaton::State> states;
    for (std::size_t i = 0; i < automaton.states.size(); ++i) {
        new_index[i] = states.size();
        if (is_alive[i]) states.push_back(std::move(automaton.states[i]));
    }
    for (auto& state : states) {
        std::erase_if(state.transitions,
                      [&](const auto& transition) { return !is_alive[transition.target]; });
        for (auto& transition : state.transitions) transition.target = new_index[transition.target];
    }
    automaton.states = std::move(states);
    return true;
}

}  // namespace

result<TextAutomaton> make_automaton(const Regex& regex, TextLength length) {
    try {
        NodeBuilder builder;
        const std::size_t end = builder.add_node({});
        const std::size_t begin = builder.add(regex, end);
        TextAutomaton automaton = Determinizer(builder.nodes, end, length).run(begin);
        if (!remove_dead_ends(automaton)) return Error{errc::invalid_request, "it matches no text"};
        return automaton;
    } catch (const TooLarge&) {
        return Error{errc::invalid_request, "its automaton is too large"};
    }
}

}  // namespace solard
