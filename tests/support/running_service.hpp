// The whole server with a FakeBackend in this process, and a plain socket to talk to it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/json/object.hpp>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/support/fake_backend.hpp"

namespace solard::server {

// The constructor starts the server. The server runs until SIGTERM, a failure of the engine or destruction.
// The flags are those of solard. The constructor throws if another object of this type exists, because the
// handler of signals and the log belong to the whole process.
class RunningService {
  public:
    explicit RunningService(const std::vector<std::string>& flags = {}, FakeOptions options = {});
    ~RunningService();
    RunningService(const RunningService&) = delete;
    RunningService& operator=(const RunningService&) = delete;

    std::uint16_t port() const { return port_; }
    FakeControl& control() { return *control_; }
    // Lets the server create its backend. Until this call, the server is in its starting phase. The
    // constructor calls this function unless the first flag is `hold_loading`.
    void finish_loading();
    static inline const std::string hold_loading =
        "hold";  // if this is the first flag, the test must call finish_loading()
    // reference_tokens() returns the first `count` tokens of the expected answer to a chat request.
    // reference_text() returns the text of these tokens.
    std::vector<TokenId> reference_tokens(const std::string& user_text, std::int32_t count,
                                          std::uint32_t choice = 0) const;
    std::string reference_text(const std::string& user_text, std::int32_t count,
                               std::uint32_t choice = 0) const;
    // Waits until the service has ended, and returns the exit code. Does not wait for an engine that hangs.
    // Must be called at most once.
    int wait_until_ended();
    // Joins the server's thread and returns the exit code.
    int exit_code();

  private:
    class OnlyOne {
      public:
        OnlyOne();
        ~OnlyOne() { exists = false; }
        OnlyOne(const OnlyOne&) = delete;
        OnlyOne& operator=(const OnlyOne&) = delete;

      private:
        static inline bool exists = false;
    };

    OnlyOne only_one_;
    FakeOptions options_;
    std::shared_ptr<FakeControl> control_ = std::make_shared<FakeControl>();
    std::promise<void> load_;
    std::promise<std::uint16_t> bound_;
    std::promise<int> ended_;
    bool loaded_ = false;
    std::uint16_t port_ = 0;
    std::future<int> result_;
    std::thread thread_;
};

struct HttpAnswer {
    int status = 0;
    std::string head;       // status line and fields
    std::string body;       // de-chunked
    bool complete = false;  // the body was read to its end
    bool has(std::string_view text) const { return head.find(text) != std::string::npos; }
};

// A blocking connection. A read ends if the server closes the connection. A read throws if the server sends
// nothing for 60 seconds.
class Connection {
  public:
    // `receive_buffer`: bytes which the kernel buffers while the test does not read; 0 = the kernel's
    // default. `source`: the address from which the connection comes; null = the kernel chooses it, and can
    // use the port of a connection which has just ended.
    explicit Connection(std::uint16_t port, int receive_buffer = 0, const char* source = nullptr);
    void send(std::string_view bytes);
    void close();
    void half_close();
    // Reads one whole HTTP response.
    HttpAnswer read_answer();
    // Reads until `text` has arrived. Returns the whole buffer, and leaves it in place for the next read.
    std::string read_until(std::string_view text);
    // Returns the next `count` bytes, or fewer bytes if the server closes the connection earlier.
    std::string read_bytes(std::size_t count);
    // Reads until the server closes the connection. Always returns true, so that a test can require it.
    bool at_end();

  private:
    bool read_more();
    boost::asio::io_context io_;
    boost::asio::ip::tcp::socket socket_;
    std::string buffer_;
};

// Returns the body of /v1/metadata.
boost::json::object metadata(std::uint16_t port);
// wait_for_in_flight() polls /v1/metadata until `count` requests are in flight; wait_for_free_blocks() polls
// until all blocks are free. Both functions throw if the awaited state is not reached after many polls.
void wait_for_in_flight(std::uint16_t port, std::int64_t count);
void wait_for_free_blocks(std::uint16_t port);

// Returns a POST of a chat request, for example chat_request("hi", R"("stream":true)").
std::string chat_request(std::string_view user_text, std::string_view fields = "");
std::string get_request(std::string_view path);
std::string post_request(std::string_view path, std::string_view body);

}  // namespace solard::server
