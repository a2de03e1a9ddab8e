// Responses of /v1/responses: how one is created and found, who follows it, and what ends it. HTTP and
// WebSockets share this.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "server/auth/access.hpp"
#include "server/config/error.hpp"
#include "server/generation/generation_service.hpp"
#include "server/responses/response_store.hpp"

namespace solard::server {

// I/O thread only.
class ResponseService {
  public:
    // Both outlive the service. Its coroutines run on `io`.
    ResponseService(boost::asio::io_context& io, GenerationService& generation)
        : io_(io), generation_(generation) {}
    ResponseService(const ResponseService&) = delete;
    ResponseService& operator=(const ResponseService&) = delete;

    GenerationService& generation() { return generation_; }
    boost::asio::io_context& io() { return io_; }

    // Returns the stored response of this id, if the caller may see it: a caller sees those of its key, and
    // all callers without a key see the same ones. Errors: response_not_found, response_expired.
    result<ResponsePtr> find(const std::string& id, const Caller& caller);
    // The same; null if there is none.
    ResponsePtr find_or_null(const std::string& id, const Caller& caller);

    // Admits the request, which is refused here or not at all. `parent` is the response that it continues;
    // null if that is not known. If solar.idempotency_key was seen lately, the result is the response which
    // the first request with that key began. Errors: model_not_found, previous_response_not_found,
    // invalid_store_transition, and those of admit().
    boost::asio::awaitable<result<ResponsePtr>> create(ResponseRequest request, Caller caller,
                                                       ResponsePtr parent);
    // Completes with the number of tokens in the prompt that create() would make. Errors: as create().
    boost::asio::awaitable<result<std::size_t>> count_input(ResponseRequest request, ResponsePtr parent);

    // Cancels the response and forgets it.
    void erase(const ResponsePtr& record);

  private:
    friend class ResponseFollower;
    ResponsePtr find_repeated(const ResponseRequest& request, const Caller& caller);
    void follower_left(const ResponsePtr& record);

    boost::asio::io_context& io_;
    GenerationService& generation_;
    ResponseStore store_{256 << 20, std::chrono::minutes(30)};
};

// Ends the response's generation if that is still under way: the log is terminal when this returns.
inline void cancel_response(ResponseRecord& record) {
    record.running.reset();
}

// Follows a response as it grows. When the last follower leaves before the end, the response ends too; a
// resumable one goes on for --resume-timeout.
class ResponseFollower {
  public:
    ResponseFollower(ResponseService& service, ResponsePtr record)
        : service_(service), record_(std::move(record)) {
        ++record_->num_readers;
    }
    ResponseFollower(const ResponseFollower&) = delete;
    ResponseFollower& operator=(const ResponseFollower&) = delete;
    ~ResponseFollower() {
        --record_->num_readers;
        service_.follower_left(record_);
    }

  private:
    ResponseService& service_;
    ResponsePtr record_;
};

}  // namespace solard::server
