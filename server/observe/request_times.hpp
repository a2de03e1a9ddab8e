// The times at which a request reached its stages in the engine.
#pragma once

#include "inference/request.hpp"

namespace solard::server {

struct RequestTimes {
    Clock::time_point accepted{};
    Clock::time_point started{};      // when the request left the queue; the clock's epoch if never
    Clock::time_point first_token{};  // the clock's epoch if there was no token
    Clock::time_point last_token{};
};

}  // namespace solard::server
