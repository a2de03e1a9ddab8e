// Creates, finds and ends the responses of /v1/responses, and counts their followers. The HTTP handlers and
// the WebSockets both use this file.
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

// The maximum number of followers of one response. The connection of a follower cannot be closed to make room
// for a new connection.
inline constexpr std::size_t max_followers = 16;

// Must be called before a ResponseFollower is created for a response that exists already. Errors:
// rate_limit_exceeded if the response has max_followers followers.
result<void> check_num_followers(const ResponseRecord& record);

// I/O thread only.
class ResponseService {
  public:
    // `generation` must outlive the service. The service's coroutines run on `io`. `io` may be destroyed
    // before the service: a follower that is destroyed together with `io` only asks whether `io` has stopped.
    ResponseService(boost::asio::io_context& io, GenerationService& generation)
        : io_(io),
          generation_(generation),
          store_(256 << 20, std::chrono::minutes(30), generation.waiting_memory) {}
    ResponseService(const ResponseService&) = delete;
    ResponseService& operator=(const ResponseService&) = delete;

    GenerationService& generation() { return generation_; }
    boost::asio::io_context& io() { return io_; }
    ResponseStore& store() { return store_; }

    // Returns the stored response with this id if the caller may see it: a caller sees the responses of its
    // key, and all callers without a key see the same responses. Errors: response_not_found,
    // response_expired.
    result<ResponsePtr> find(const std::string& id, const Caller& caller);
    // Does the same as find(), but returns null instead of an error.
    ResponsePtr find_or_null(const std::string& id, const Caller& caller);

    // Admits the request and starts its response. `parent` is the response with the id previous_response_id,
    // or null if no such response exists. If the caller created a stored response with the same
    // solar.idempotency_key within the last 5 minutes, which has neither failed nor been cancelled, returns
    // that response. `charge` pays for the request until it is admitted, and becomes 0 then; it may be
    // null. Errors: model_not_found, previous_response_not_found, invalid_store_transition, and those of
    // encode_prompt(), admit() and check_num_followers().
    boost::asio::awaitable<result<ResponsePtr>> create(ResponseRequest request, Caller caller,
                                                       ResponsePtr parent, InputCharge* charge);
    // Refuses a request whose prompt can never fit in the context. With "truncation": "auto", only the
    // instructions and the last message must fit. Errors: context_length_exceeded.
    result<void> check_size(const ResponseRequest& request) const;
    // Completes with the number of tokens in the prompt which create() would make. Errors: those of create().
    boost::asio::awaitable<result<std::size_t>> count_input(ResponseRequest request, ResponsePtr parent,
                                                            JobSource source);

    // Cancels the response and forgets it.
    void erase(const ResponsePtr& record);

  private:
    friend class ResponseFollower;
    ResponsePtr find_repeated(const ResponseRequest& request, const Caller& caller);
    void follower_left(const ResponsePtr& record);
    void release_at_end(const ResponsePtr& record);

    boost::asio::io_context& io_;
    GenerationService& generation_;
    ResponseStore store_;
};

// Cancels the response's generation if it still runs. The log is terminal when this function returns.
inline void cancel_response(ResponseRecord& record) {
    record.running.reset();
}

// While an object of this class exists, it counts as a follower of its response. If the last follower is
// destroyed before the response ends, the response is cancelled immediately. A resumable response is
// cancelled only if it gets no new follower within --resume-timeout.
class ResponseFollower {
  public:
    ResponseFollower(ResponseService& service, ResponsePtr record)
        : service_(service), record_(std::move(record)) {
        ++record_->num_followers;
    }
    ResponseFollower(const ResponseFollower&) = delete;
    ResponseFollower& operator=(const ResponseFollower&) = delete;
    ~ResponseFollower() {
        --record_->num_followers;
        service_.follower_left(record_);
    }

  private:
    ResponseService& service_;
    ResponsePtr record_;
};

}  // namespace solard::server
