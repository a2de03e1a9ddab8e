#include "inference/grammar/compact_form.hpp"

#include <compiled_grammar_impl.h>
#include <fsm.h>
#include <grammar_impl.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace solard {
namespace {

namespace json = boost::json;
using RuleAutomaton = xgrammar::CompactFSMWithStartEndWithSize;

// An automaton with one state, which takes the place of the shared one.
RuleAutomaton one_state_automaton() {
    const xgrammar::CompactFSM one_state = xgrammar::FSM(1).ToCompact();
    return RuleAutomaton(xgrammar::CompactFSMWithStartEnd(one_state, 0, {0}), 0, 1);
}

// Returns where the rule begins and ends in the automaton of the grammar.
json::array place_of(const RuleAutomaton& rule) {
    json::array place{rule.GetFsm().GetStart(), rule.GetEdgeNum(), rule.GetNodeNum()};
    for (const std::int32_t end : rule.GetFsm().GetEnds()) place.emplace_back(end);
    return place;
}

// Returns the rule with this place in the automaton, or nothing if there is no such place.
std::optional<RuleAutomaton> rule_at(const json::value& place, const xgrammar::CompactFSM& automaton) {
    constexpr std::size_t first_end = 3;
    const json::array* const numbers = place.if_array();
    if (numbers == nullptr || numbers->size() < first_end) return std::nullopt;
    std::vector<std::int32_t> values;
    for (const json::value& number : *numbers) {
        if (!number.is_int64()) return std::nullopt;
        values.push_back(static_cast<std::int32_t>(number.get_int64()));
    }
    const auto is_state = [&](std::int32_t state) { return state >= 0 && state < automaton.NumStates(); };
    std::vector<std::int32_t> ends(values.begin() + first_end, values.end());
    if (!is_state(values[0]) || !std::ranges::all_of(ends, is_state)) return std::nullopt;
    return RuleAutomaton(xgrammar::CompactFSMWithStartEnd(automaton, values[0], std::move(ends)), values[1],
                         values[2]);
}

}  // namespace

std::string compact_form(xgrammar::CompiledGrammar compiled) {
    auto& grammar = *compiled->grammar.ImplPtr();
    json::array places;
    for (auto& rule : grammar.per_rule_fsms) {
        const bool is_shared = rule && rule->GetFsm().GetFsm().ImplPtr() == grammar.complete_fsm.ImplPtr();
        places.push_back(is_shared ? json::value(place_of(*rule)) : json::value());
        if (is_shared) rule = one_state_automaton();
    }
    return json::serialize(places) + "\n" + compiled.SerializeJSON();
}

result<xgrammar::CompiledGrammar> from_compact_form(const std::string& bytes,
                                                    const xgrammar::TokenizerInfo& info) {
    Error damaged{errc::backend_failed, "the compiled grammar is damaged"};
    const std::size_t end = bytes.find('\n');
    if (end == std::string::npos) return damaged;
    json::error_code ec;
    const json::value places = json::parse(std::string_view(bytes).substr(0, end), ec);
    if (ec || !places.is_array()) return damaged;
    auto loaded = xgrammar::CompiledGrammar::DeserializeJSON(bytes.substr(end + 1), info);
    auto* const compiled = std::get_if<xgrammar::CompiledGrammar>(&loaded);
    if (compiled == nullptr) {
        const auto& failure = std::get<xgrammar::SerializationError>(loaded);
        return Error{errc::backend_failed,
                     std::visit([](const auto& error) { return std::string(error.what()); }, failure)};
    }
    auto& grammar = *(*compiled)->grammar.ImplPtr();
    if (places.get_array().size() != grammar.per_rule_fsms.size()) return damaged;
    for (std::size_t i = 0; i < grammar.per_rule_fsms.size(); ++i) {
        const json::value& place = places.get_array()[i];
        if (place.is_null()) continue;
        grammar.per_rule_fsms[i] = rule_at(place, grammar.complete_fsm);
        if (!grammar.per_rule_fsms[i]) return damaged;
    }
    return std::move(*compiled);
}

}  // namespace solard
