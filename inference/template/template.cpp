#include "inference/template/template.hpp"

#include <algorithm>
#include <utility>

#include "inference/template/evaluator.hpp"
#include "inference/template/from_json.hpp"
#include "inference/template/functions.hpp"
#include "inference/template/lexer.hpp"
#include "inference/template/parser.hpp"
#include "inference/text/utf8.hpp"

namespace solard::jinja {

struct Template::Parsed {
    std::string source;
    SyntaxTree tree;
    Limits limits;
};

namespace {

std::string place_of(std::string_view source, std::size_t offset) {
    const std::string_view before = source.substr(0, offset);
    const auto line = std::ranges::count(before, '\n') + 1;
    const std::string_view in_line = before.substr(before.rfind('\n') + 1);  // npos + 1 is 0
    return "line " + std::to_string(line) + ", column " + std::to_string(count_characters(in_line) + 1);
}

std::string sentence_of(const Failure& failure, std::string_view place) {
    const std::string where = " (" + std::string(place) + ").";
    switch (failure.kind) {
        case Failure::Kind::raised:
            return "The chat template refuses this conversation: " + failure.message;
        case Failure::Kind::limit:
            return "The chat template reached a limit with this conversation: " + failure.message + where;
        case Failure::Kind::fault:
            break;
    }
    return "The chat template cannot render this conversation: " + failure.message + where;
}

}  // namespace

result<Template> Template::parse(std::string_view source, const Limits& limits) {
    if (source.size() > limits.source_bytes)
        return Error{errc::bad_model, "has " + std::to_string(source.size()) + " bytes, expected at most " +
                                          std::to_string(limits.source_bytes)};
    if (const auto invalid = find_invalid_utf8(source); invalid != std::string_view::npos)
        return Error{errc::bad_model, "byte " + std::to_string(invalid) + " is not valid UTF-8"};
    auto parsed = std::make_shared<Parsed>();
    parsed->source = normalize_source(without_byte_order_mark(source));
    parsed->limits = limits;
    try {
        parsed->tree = parse_template(parsed->source, limits);
    } catch (const PlacedFailure& placed) {
        return Error{errc::bad_model,
                     place_of(parsed->source, placed.offset) + ": " + placed.failure.message};
    }
    return Template(std::move(parsed));
}

result<MarkedText> Template::render(std::span<const Variable> variables, std::time_t now,
                                    std::size_t max_steps) const {
    Limits limits = parsed_->limits;
    limits.steps = std::min(limits.steps, max_steps);
    Runtime runtime(limits, now);
    try {
        Scope functions(nullptr);
        Scope scope(&functions);
        set_functions(runtime, functions);
        for (const Variable& variable : variables)
            scope.set(runtime, variable.name, from_json(runtime, *variable.value, variable.trust));
        Evaluator evaluator(runtime);
        return evaluator.run(parsed_->tree.root, scope);
    } catch (const PlacedFailure& placed) {
        return Error{errc::invalid_request,
                     sentence_of(placed.failure, place_of(parsed_->source, placed.offset))};
    } catch (const Failure& failure) {  // from the variables, before the first statement
        return Error{errc::invalid_request, sentence_of(failure, place_of(parsed_->source, 0))};
    }
}

}  // namespace solard::jinja
