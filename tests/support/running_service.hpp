// The whole server over a FakeBackend, in this process, and a plain socket to talk to it.
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

// Serves from construction until SIGTERM, a failing engine or destruction. Flags are solard's own.
class RunningService {
  public:
    explicit RunningService(const std::vector<std::string>& flags = {}, FakeOptions options = {});
    ~RunningService();
    RunningService(const RunningService&) = delete;
    RunningService& operator=(const RunningService&) = delete;

    std::uint16_t port() const { return port_; }
    FakeControl& control() { return *control_; }
    // Lets the backend come into being; until then the server is starting. Called by the constructor unless
    // held.
    void finish_loading();
    static inline const std::string hold_loading =
        "hold";  // as first flag: finish_loading() is left to the test
    // What the answer must be: `count` tokens of the reference, also as text.
    std::vector<TokenId> reference_tokens(const std::string& user_text, std::int32_t count,
                                          std::uint32_t choice = 0) const;
    std::string reference_text(const std::string& user_text, std::int32_t count,
                               std::uint32_t choice = 0) const;
    // Returns once the service has ended, though its engine may still hang; once.
    int wait_until_ended();
    // Joins the server's thread.
    int exit_code();

  private:
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
    bool complete = false;  // the body's end was seen
    bool has(std::string_view text) const { return head.find(text) != std::string::npos; }
};

// A blocking connection. Every read ends when the server closes or after `give_up`, which fails the test.
class Connection {
  public:
    // `receive_buffer`: bytes the kernel keeps for this side while the test does not read; 0 = its default.
    explicit Connection(std::uint16_t port, int receive_buffer = 0);
    void send(std::string_view bytes);
    void close();
    void half_close();
    // One whole answer.
    HttpAnswer read_answer();
    // Bytes as they come, until `text` was seen; everything read so far and not consumed.
    std::string read_until(std::string_view text);
    // The next bytes; fewer where the server closes before.
    std::string read_bytes(std::size_t count);
    // True once the server has closed.
    bool at_end();

  private:
    bool read_more();
    boost::asio::io_context io_;
    boost::asio::ip::tcp::socket socket_;
    std::string buffer_;
};

// Body of /v1/metadata.
boost::json::object metadata(std::uint16_t port);
// Both ask until it is so; they throw when it does not become so.
void wait_for_in_flight(std::uint16_t port, std::int64_t count);
void wait_for_free_blocks(std::uint16_t port);

// A POST of a chat request: chat("hi", R"("stream":true)").
std::string chat_request(std::string_view user_text, std::string_view fields = "");
std::string get_request(std::string_view path);

}  // namespace solard::server
