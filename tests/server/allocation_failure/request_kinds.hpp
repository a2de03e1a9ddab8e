// The kinds of request that the test of allocation failures sends.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/support/running_service.hpp"

namespace solard::server {

// How a request ended for its client.
enum class Outcome {
    correct,        // the whole answer, as without a failure
    refused,        // status 500 and the error object, or an error event of this request on a WebSocket
    failed_stream,  // a stream with an error event as its last event
    broken,         // the connection was closed before the answer was complete
    wrong,          // anything else
};

// The server's port and the key with which all kinds but one authenticate.
struct Target {
    std::uint16_t port = 0;
    std::string key;
};

// Returns what two correct answers to the same request have in common.
using Essence = std::string (*)(const HttpAnswer& answer);
// The text of a stream, choice by choice, and its end. The server may merge and divide the parts.
std::string stream_of(const HttpAnswer& answer);
Outcome outcome_of(const HttpAnswer& answer, Essence essence, const std::string& expected);

// Sends one request and reads its answer. Throws if the server sends nothing for a long time.
struct RequestKind {
    std::string name;
    // Does what must be done before the request, such as creating the response which the request deletes.
    // Returns the sending of the request.
    std::function<std::function<Outcome()>(const Target& target)> prepare;
};

// Learns the correct answers from `target`, which does not fail meanwhile.
std::vector<RequestKind> request_kinds(const Target& target);

// Returns "POST <path>" with a JSON body, and "<method> <path>" without a body.
std::string post(const Target& target, const std::string& path, const std::string& body);
std::string plain(const Target& target, const std::string& method, const std::string& path);

}  // namespace solard::server
