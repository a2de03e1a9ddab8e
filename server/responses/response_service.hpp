// The life of one response: how it is created, who follows it, and what ends it. HTTP and sockets share it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>
#include <optional>

#include "server/auth/access.hpp"
#include "server/config/error.hpp"
#include "server/responses/response_store.hpp"

namespace solard::server {

class App;

using ResponsePtr = std::shared_ptr<ResponseRecord>;

// Whose responses a caller sees: those of its key; everybody without one is one and the same.
std::uint64_t owner_of(const Caller& caller);

// The stored response of this id. Errors: response_not_found, response_expired.
result<ResponsePtr> find_response(App& app, const std::string& id, const Caller& caller);

// Admits the request, which is refused here or not at all. `parent` is what it continues; null if that is not
// known. A request whose solar.idempotency_key was seen lately gives the response that it began. Errors:
// model_not_found, previous_response_not_found, invalid_store_transition, and as admit().
boost::asio::awaitable<result<ResponsePtr>> create_response(App& app, ResponseRequest request, Caller caller,
                                                            ResponsePtr parent);
// Tokens of the prompt that create_response() would make. Errors as there.
boost::asio::awaitable<result<std::size_t>> count_response_input(App& app, ResponseRequest request,
                                                                 ResponsePtr parent);

// Ends its generation, if that is still under way: the log is terminal when this returns.
inline void cancel_response(ResponseRecord& record) {
    record.running.reset();
}

// One who follows a response as it grows. When the last one leaves before the end, the response ends too; a
// resumable one goes on for --resume-timeout.
class ResponseFollower {
  public:
    ResponseFollower(App& app, ResponsePtr record) : app_(app), record_(std::move(record)) {
        ++record_->num_readers;
    }
    ResponseFollower(const ResponseFollower&) = delete;
    ResponseFollower& operator=(const ResponseFollower&) = delete;
    ~ResponseFollower();

  private:
    App& app_;
    ResponsePtr record_;
};

}  // namespace solard::server
