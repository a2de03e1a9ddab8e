// A blocking WebSocket client that returns every frame to the test, for tests of /v1/responses.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/running_service.hpp"

namespace solard::server {

struct WsFrame {
    enum Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };
    std::uint8_t opcode = 0;
    std::string payload;
};

// Returns the request that opens a socket. Each of `fields` is a whole header line.
std::string upgrade_request(const std::vector<std::string>& fields = {});

class WsClient {
  public:
    // Opens the socket. Throws if the server refuses. `receive_buffer` is passed to Connection.
    explicit WsClient(std::uint16_t port, const std::vector<std::string>& fields = {},
                      int receive_buffer = 0);

    void send(std::string_view text) { send_frame(WsFrame::text, text); }
    void send_frame(std::uint8_t opcode, std::string_view payload, bool fin = true);
    // Returns the next frame of any kind. If the connection ends without a close frame, returns a close frame
    // without a payload.
    WsFrame read_frame();
    // Returns the next message. Throws if the socket closes instead.
    boost::json::object read();
    // Returns the messages up to and including the first message of this type.
    std::vector<boost::json::object> read_until(std::string_view type);
    // Skips frames up to the server's close frame, answers that frame if the connection is still open, and
    // returns its code. Returns 1006 if the close frame has no code.
    std::uint16_t read_close();
    void drop() { connection_.close(); }

  private:
    Connection connection_;
};

// Returns a response.create message with temperature 0, seed 0 and these `fields`, for example "stream":true.
std::string create_message(std::string_view fields = "", std::string_view input = "hi");
bool is_terminal(const boost::json::object& event);
std::string type_of(const boost::json::object& event);

}  // namespace solard::server
