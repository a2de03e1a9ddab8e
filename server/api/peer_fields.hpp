// Says what happens to the fields of other servers' request models.
#pragma once

#include <cstdint>
#include <string_view>

#include "server/api/fields.hpp"

namespace solard::server {

// The API whose fields a request body may have.
enum class BodyKind : std::uint8_t { chat, completions, responses, tokenize, detokenize };

// What happens to a field that is in no request model of peer_fields.tsv.
enum class UnknownFields : std::uint8_t { ignored, refused };

// Checks every field of the object which was neither read nor ignored. peer_fields.tsv lists the fields of
// the request models of OpenAI, vLLM, llama.cpp, NIM and LM Studio. A field passes if it cannot change the
// answer, or if its value asks for what happens anyway. Other fields of the table are refused by name, so
// that no client believes that the server did what it asked for. `prefix` is the object's place in the table,
// such as "messages[].".
void check_other_fields(FieldReader& fields, BodyKind kind, UnknownFields unknown,
                        std::string_view prefix = {});

// The text of peer_fields.tsv. Each line has a field's name, the kinds of body in which the line holds, the
// servers which have the field, what happens to it (served, neutral, ignored or refused), the values other
// than null which pass if it is neutral, and a reason, separated by tabs. The lines are in the order of the
// names.
std::string_view peer_fields_text();

}  // namespace solard::server
