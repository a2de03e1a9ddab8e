#include "server/api/peer_fields.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <optional>
#include <string>
#include <vector>

namespace solard::server {
namespace {

namespace json = boost::json;

constexpr auto kind_names =
    std::to_array<std::string_view>({"chat", "completions", "responses", "tokenize", "detokenize"});

// One line of the table. The views are parts of the embedded text.
struct PeerField {
    std::string_view name;
    std::string_view kinds;  // separated by spaces
    std::string_view handling;
    std::string_view neutral;  // JSON values, separated by commas
};

std::string_view take_until(std::string_view& text, char end) {
    const std::string_view part = text.substr(0, text.find(end));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    return part;
}

std::vector<PeerField> read_table() {
    std::string_view text = peer_fields_text();
    take_until(text, '\n');  // the names of the columns
    std::vector<PeerField> table;
    while (!text.empty()) {
        std::string_view line = take_until(text, '\n');
        std::array<std::string_view, 5> columns;
        for (auto& column : columns) column = take_until(line, '\t');
        table.push_back({columns[0], columns[1], columns[3], columns[4]});
    }
    return table;
}

bool has_word(std::string_view words, std::string_view word) {
    while (!words.empty()) {
        if (take_until(words, ' ') == word) return true;
    }
    return false;
}

const std::vector<PeerField>& table() {
    static const std::vector<PeerField> table = read_table();
    return table;
}

// Returns the field's line for this kind of body. A request for an answer may also have a field of another
// route by mistake, which must not be dropped in silence, so it is judged by the line of that route.
const PeerField* find_field(BodyKind kind, std::string_view name) {
    const std::string_view kind_name = kind_names.at(static_cast<std::size_t>(kind));
    const auto lines = std::ranges::equal_range(table(), name, {}, &PeerField::name);
    for (const auto& field : lines) {
        if (has_word(field.kinds, kind_name)) return &field;
    }
    const bool asks_for_answer = kind != BodyKind::tokenize && kind != BodyKind::detokenize;
    return asks_for_answer && !lines.empty() ? &lines.front() : nullptr;
}

// Returns true if the table has lines for the members of the field.
bool has_members(const std::string& name) {
    const auto first = std::ranges::lower_bound(table(), name + ".", {}, &PeerField::name);
    return first != table().end() && first->name.starts_with(name + ".");
}

// Compares two values. Numbers are equal however they are written, and a member that is null is the same as a
// member that is absent.
bool same(const json::value& a, const json::value& b) {
    if (a.is_number() && b.is_number()) return a.to_number<double>() == b.to_number<double>();
    if (a.is_array() && b.is_array()) return std::ranges::equal(a.get_array(), b.get_array(), same);
    if (!a.is_object() || !b.is_object()) return a == b;
    const auto has_members_of = [](const json::object& one, const json::object& other) {
        return std::ranges::all_of(other, [&](const auto& member) {
            const auto* found = one.if_contains(member.key());
            return member.value().is_null() || (found != nullptr && same(*found, member.value()));
        });
    };
    return has_members_of(a.get_object(), b.get_object()) && has_members_of(b.get_object(), a.get_object());
}

bool is_neutral(const PeerField& field, const json::value& value) {
    const json::value neutral = json::parse("[" + std::string(field.neutral) + "]");
    return std::ranges::any_of(neutral.get_array(), [&](const auto& one) { return same(one, value); });
}

// A field that must be refused.
struct RefusedField {
    std::string key;           // its name within the object
    std::string_view neutral;  // the values which would pass; may be empty
};

// Returns the field or the member of its object that must be refused, if any. `name` is the field's name in
// the table.
std::optional<RefusedField> find_refused(const PeerField& field, BodyKind kind, const std::string& name,
                                         const std::string& key, const json::value& value) {
    if (value.is_null() || field.handling == "ignored" || is_neutral(field, value)) return std::nullopt;
    const auto* object = value.if_object();
    if (object == nullptr || field.handling != "neutral" || !has_members(name))
        return RefusedField{key, field.neutral};
    for (const auto& member : *object) {
        const std::string suffix = "." + std::string(member.key());
        const PeerField* const inner = find_field(kind, name + suffix);
        if (inner == nullptr) return RefusedField{key + suffix, {}};
        auto refused = find_refused(*inner, kind, name + suffix, key + suffix, member.value());
        if (refused) return refused;
    }
    return std::nullopt;
}

bool says_none(const json::object& body, std::string_view name) {
    const auto* value = body.if_contains(name);
    return value != nullptr && *value == "none";
}

// Without any choice of a tool, the tools have no effect.
bool is_list_without_choice(const json::object& body, std::string_view key) {
    return (key == "tools" && says_none(body, "tool_choice")) ||
           (key == "functions" && says_none(body, "function_call"));
}

}  // namespace

void check_other_fields(FieldReader& fields, BodyKind kind, UnknownFields unknown, std::string_view prefix) {
    for (const auto& member : fields.object()) {
        const std::string key(member.key());
        if (fields.is_known(key) || is_list_without_choice(fields.object(), key)) continue;
        const std::string name = std::string(prefix) + key;
        if (const PeerField* const field = find_field(kind, name)) {
            if (const auto refused = find_refused(*field, kind, name, key, member.value()))
                fields.refuse(refused->key, refused->neutral);
        } else if (unknown == UnknownFields::refused) {
            fields.refuse(key);
        }
    }
}

}  // namespace solard::server
