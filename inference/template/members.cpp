#include "inference/template/members.hpp"

#include <optional>
#include <string_view>

#include "inference/template/access.hpp"
#include "inference/template/loop.hpp"
#include "inference/template/methods.hpp"

namespace solard::jinja {
namespace {

// Returns the method or the property of an object, or no value.
std::optional<Value> member_of(Runtime& runtime, const Value& object, std::string_view name) {
    if (const auto* members = as<Namespace*>(object)) {
        for (const auto& [member, value] : (*members)->members) {
            runtime.step();
            if (member->size() != name.size()) continue;
            runtime.copy(name.size());
            if (member->bytes() == name) return value;
        }
        return std::nullopt;
    }
    if (const auto* loop = as<const Loop*>(object)) return loop_member(runtime, **loop, name);
    return bind_method(runtime, object, name);
}

}  // namespace

Value attribute_of(Runtime& runtime, const Value& object, const MarkedText& name) {
    runtime.step();
    if (const auto* undefined = as<Undefined>(object)) fail_undefined(*undefined);
    if (const auto member = member_of(runtime, object, name.bytes())) return *member;
    const auto* dict = as_dict(object);
    const Value* entry = dict != nullptr ? find_entry(runtime, *dict, name.bytes()) : nullptr;
    return entry != nullptr ? *entry : Undefined{name.bytes()};
}

Value item_of(Runtime& runtime, const Value& object, const Value& key) {
    runtime.step();
    if (const auto* undefined = as<Undefined>(object)) fail_undefined(*undefined);
    const auto* dict = as_dict(object);
    if (dict != nullptr && may_be_key(key)) {
        if (const Value* entry = find_entry(runtime, *dict, key)) return *entry;
    }
    if (const auto item = item_by_index(runtime, object, key)) return *item;
    const auto* name = as_text(key);
    if (name == nullptr) return Undefined{};
    if (const auto member = member_of(runtime, object, name->bytes())) return *member;
    return Undefined{name->bytes()};
}

}  // namespace solard::jinja
