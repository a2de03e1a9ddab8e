// A blocking WebSocket client that shows every frame, for tests of /v1/responses.
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
    enum Opcode : std::uint8_t { text = 1, binary = 2, close = 8, ping = 9, pong = 10 };
    std::uint8_t opcode = 0;
    std::string payload;
};

// The request to open a socket; each of `fields` is a whole line of the header.
std::string upgrade_request(const std::vector<std::string>& fields = {});

class WsClient {
  public:
    // Opens the socket; throws unless the server agrees. `receive_buffer` as Connection.
    explicit WsClient(std::uint16_t port, const std::vector<std::string>& fields = {},
                      int receive_buffer = 0);

    void send(std::string_view text) { send_frame(WsFrame::text, text); }
    void send_frame(std::uint8_t opcode, std::string_view payload, bool fin = true);
    // The next frame of any kind; one of opcode `close` without payload where the connection ends without
    // one.
    WsFrame read_frame();
    // The next message. Throws if the socket closes instead.
    boost::json::object read();
    // Messages up to the first of this type.
    std::vector<boost::json::object> read_until(std::string_view type);
    // What the server closes with, after whatever it still says; answers it. 1006: it did not say.
    std::uint16_t read_close();
    void drop() { connection_.close(); }

  private:
    Connection connection_;
};

// {"type":"response.create","input":"hi","temperature":0,"seed":0,...}
std::string create_message(std::string_view fields = "", std::string_view input = "hi");
bool is_terminal(const boost::json::object& event);
std::string type_of(const boost::json::object& event);

}  // namespace solard::server
