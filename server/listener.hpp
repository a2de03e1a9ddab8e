// Accepts connections, starts a session for each connection, and closes the connections when the server
// drains.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>

#include "server/app.hpp"
#include "server/config/app_config.hpp"
#include "server/config/error.hpp"
#include "server/connection_table.hpp"
#include "server/http/stream.hpp"

namespace solard::server {

// I/O thread only. Must outlive the sessions that it starts.
class Listener {
  public:
    // Binds the address before the model is loaded, so that a port which is already in use is reported early.
    // Errors: runtime_failure, bad_configuration.
    static result<Listener> bind(boost::asio::io_context& io, const AppConfig& config);

    // Accepts connections until the drain has ended. `app` must outlive every session.
    void start(App& app);
    // Closes idle sessions. Any other session ends after its current answer, and a WebSocket after all of its
    // current answers. `on_empty` runs when all sessions which exist now have ended, which may be before
    // drain() returns. Until then, the server still accepts new connections, so that their clients get an
    // error answer.
    void drain(std::function<void()> on_empty);
    // Closes every session immediately.
    void close_sessions();

    // Returns the address, such as "http://127.0.0.1:8000" or "unix:/run/solard.sock".
    std::string url() const;

  private:
    using Tcp = boost::asio::ip::tcp;
    using Unix = boost::asio::local::stream_protocol;
    using Acceptor = std::variant<Tcp::acceptor, Unix::acceptor>;

    Listener(boost::asio::io_context& io, Acceptor acceptor)
        : io_(&io), acceptor_(std::move(acceptor)), trim_timer_(io) {}
    void start_accepting();
    boost::asio::awaitable<void> accept_loop();
    bool has_waiting_connection();
    boost::system::error_code accept_one();
    void admit(Stream stream);
    bool make_room(ConnectionTable& places, std::uint64_t network);
    bool close_victim(ConnectionTable& places, std::optional<ConnectionTable::Id> victim);
    void start_session(ConnectionTable::Id id, Stream stream, bool over_limit);
    void end_session(std::uint64_t id);
    void trim_soon();
    void finish_drain();

    boost::asio::io_context* io_;
    Acceptor acceptor_;
    App* app_ = nullptr;
    std::uint64_t next_session_ = 0;
    using Closer = std::function<void(bool only_if_idle)>;
    std::unordered_map<ConnectionTable::Id, Closer> closers_;  // one per session
    // places_ contains the connections within the limit. reserved_places_ contains connections beyond the
    // limit, on which only routes with AtLimit::answered are served. A connection that was closed to make
    // room is in neither table, even if its session still runs.
    ConnectionTable places_{0};
    ConnectionTable reserved_places_{0};
    std::size_t max_sessions_ = 0;  // largest number of open sessions since the last malloc_trim()
    boost::asio::steady_timer trim_timer_;
    bool trim_is_due_ = false;
    std::function<void()> on_empty_;
    std::uint64_t first_late_session_ = 0;  // id of the first session after drain()
    std::size_t num_awaited_ = 0;           // sessions from before drain() that have not ended
};

// Refuses an address that other machines can reach, unless --api-key-file or --allow-anonymous is given.
// Errors: bad_configuration, whose message names the option `host`.
result<void> check_exposure(const AppConfig& config);

}  // namespace solard::server
