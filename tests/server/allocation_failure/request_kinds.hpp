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
    correct,        // the whole answer, the same as if no allocation had failed
    refused,        // status 500 with an error object, or an error event for this request on a WebSocket
    failed_stream,  // a stream whose last event is an error event
    broken,         // the connection was closed before the answer was complete
    wrong,          // anything else
};

// The server's port, and the valid API key. One kind of request uses an invalid key instead.
struct Target {
    std::uint16_t port = 0;
    std::string key;
};

// Returns the part of an answer which is the same in all correct answers to the request.
using Essence = std::string (*)(const HttpAnswer& answer);
// Returns the whole text of each choice of a stream, and how the stream ended. The result does not depend on
// how the server divided the texts into events.
std::string stream_of(const HttpAnswer& answer);
Outcome outcome_of(const HttpAnswer& answer, Essence essence, const std::string& expected);

// A kind of request which the test sends again and again.
struct RequestKind {
    std::string name;
    // Prepares a request. For example, if the request deletes a response, this function creates the response.
    // Returns a function that sends the request and reads its answer. The returned function throws if the
    // server sends nothing for a long time.
    std::function<std::function<Outcome()>(const Target& target)> prepare;
    // At most this part of the failed allocations may break the connection.
    double max_broken = 1;
};

// Returns all kinds of request. Sends requests to `target` to learn the correct answers. No allocation may
// fail during this call.
std::vector<RequestKind> request_kinds(const Target& target);

// post() returns a request "POST <path>" with a JSON body. plain() returns a request "<method> <path>"
// without a body.
std::string post(const Target& target, const std::string& path, const std::string& body);
std::string plain(const Target& target, const std::string& method, const std::string& path);

}  // namespace solard::server
