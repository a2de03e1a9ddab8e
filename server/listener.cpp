#include "server/listener.hpp"

#include <malloc.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <new>

#include "server/http_session.hpp"
#include "server/observe/log.hpp"
#include "server/observe/operation_memory.hpp"
#include "server/observe/repeated_trouble.hpp"
#include "server/observe/spawn.hpp"

namespace solard::server {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

using Unix = asio::local::stream_protocol;

void set_tcp_options(int socket) {
    // If sent data stays unacknowledged for this time (RFC 5482), the peer has vanished.
    constexpr unsigned milliseconds = 30'000;
    setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds);
    // Data for a slow client should not wait in the kernel, but in the generation's log, where deltas are
    // merged.
    constexpr int unsent_bytes = 64 << 10;
    setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes, sizeof unsent_bytes);
}

rlim_t max_descriptors() {
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_cur;
}

// Returns --max-connections, but at most four fifths of the file descriptors. The rest is for other files,
// the engine and the listening socket.
std::size_t max_connections(const AppConfig& config) {
    return std::min(static_cast<std::size_t>(config.max_connections),
                    static_cast<std::size_t>(max_descriptors()) / 5 * 4);
}

// Returns how many connections the server accepts beyond its connection limit. On these connections, only
// routes with AtLimit::answered are served, and all other requests get an error answer. The number is at most
// a third of the file descriptors which max_connections() leaves.
std::size_t max_reserved_connections() {
    constexpr rlim_t most = 64;
    return static_cast<std::size_t>(std::min(max_descriptors() / 16, most));
}

// If at least this many sessions were open, memory is returned to the system after half of them have ended.
constexpr std::size_t min_sessions_to_trim = 64;

// In this time, malloc_trim() is called at most once. A call takes milliseconds, and clients that open and
// close many connections would otherwise cause many calls.
constexpr std::chrono::seconds trim_delay{1};

// The largest number of connections that are accepted before the event loop does other work. Waiting before
// each connection would cost two more system calls for each.
constexpr int max_accepts = 16;

// The pause after a failed accept. If descriptors ran out, the loop would otherwise spin on the same error.
constexpr std::chrono::milliseconds accept_pause{100};

void log_failure(const char* what, const std::exception_ptr& problem) {
    if (!problem) return;
    static RepeatedTrouble trouble;
    try {
        std::rethrow_exception(problem);
    } catch (const std::exception& e) {
        trouble.log(LogLevel::error, what, e.what());
    }
}

// Removes the file of a Unix socket if connections to the socket are refused: then a killed process has left
// the file behind. Does not remove the socket file of a running server.
void remove_stale_socket(asio::io_context& io, const std::string& path) {
    error_code ec;
    Unix::socket probe(io);
    probe.open(Unix(), ec);
    // In blocking mode, connect() would wait for a running server whose queue of connections is full.
    probe.non_blocking(true, ec);
    probe.connect(Unix::endpoint(path), ec);
    if (ec == asio::error::connection_refused) unlink(path.c_str());
}

template <class Acceptor, class Endpoint>
error_code open(Acceptor& acceptor, const Endpoint& endpoint) {
    error_code ec;
    acceptor.open(endpoint.protocol(), ec);
    if (!ec) acceptor.set_option(asio::socket_base::reuse_address(true), ec);
    if (!ec) acceptor.bind(endpoint, ec);
    if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
    if (!ec) acceptor.non_blocking(true, ec);
    // With this option, accept() returns an error if the client has already left. Without the option,
    // accept() would wait for the next connection.
    if (!ec) acceptor.set_option(asio::socket_base::enable_connection_aborted(true), ec);
    return ec;
}

}  // namespace

result<void> check_exposure(const AppConfig& config) {
    if (!config.unix_socket.empty() || config.allow_anonymous || !config.api_key_file.empty() ||
        !config.api_key.empty())
        return {};
    error_code ec;
    const auto address = asio::ip::make_address(config.host, ec);
    if (config.host == "localhost") return {};
    if (ec)
        return Error{errc::bad_configuration,
                     "option 'host': expected an IP address or localhost, got '" + config.host + "'"};
    if (address.is_loopback()) return {};
    return Error{errc::bad_configuration, "option 'host': " + config.host +
                                              " is reachable from other machines and no API key is set; add "
                                              "--api-key-file, or --allow-anonymous to serve everyone"};
}

result<Listener> Listener::bind(asio::io_context& io, const AppConfig& config) {
    error_code ec;
    if (!config.unix_socket.empty()) {
        Unix::acceptor acceptor(io);
        remove_stale_socket(io, config.unix_socket);
        ec = open(acceptor, Unix::endpoint(config.unix_socket));
        if (ec)
            return Error{errc::runtime_failure,
                         "cannot listen on " + config.unix_socket + ": " + ec.message()};
        return Listener(io, std::move(acceptor));
    }
    const auto port = static_cast<std::uint16_t>(config.port);
    const auto address = config.host == "localhost" ? asio::ip::make_address("127.0.0.1")
                                                    : asio::ip::make_address(config.host, ec);
    if (ec)
        return Error{errc::bad_configuration,
                     "option 'host': expected an IP address or localhost, got '" + config.host + "'"};
    Tcp::acceptor acceptor(io);
    ec = open(acceptor, Tcp::endpoint(address, port));
    if (ec)
        return Error{errc::runtime_failure, "cannot listen on " + config.host + ":" +
                                                std::to_string(config.port) + ": " + ec.message() +
                                                "; choose another --port"};
    return Listener(io, std::move(acceptor));
}

std::string Listener::url() const {
    if (const auto* unix_acceptor = std::get_if<Unix::acceptor>(&acceptor_))
        return "unix:" + unix_acceptor->local_endpoint().path();
    const auto endpoint = std::get<Tcp::acceptor>(acceptor_).local_endpoint();
    const std::string host = endpoint.address().to_string();
    return "http://" + (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" +
           std::to_string(endpoint.port());
}

void Listener::start(App& app) {
    app_ = &app;
    places_ = ConnectionTable(max_connections(app.config));
    reserved_places_ = ConnectionTable(max_reserved_connections());
    start_accepting();
}

void Listener::start_accepting() {
    spawn(io_->get_executor(), accept_loop(), [this](const std::exception_ptr& problem) {
        log_failure("the accept loop failed: ", problem);
        if (problem) start_accepting();
    });
}

void Listener::drain(std::function<void()> on_empty) {
    on_empty_ = std::move(on_empty);
    first_late_session_ = next_session_;
    num_awaited_ = closers_.size();
    for (const auto& [id, close] : closers_) close(true);
    if (num_awaited_ == 0) finish_drain();
}

void Listener::finish_drain() {
    error_code ignored;
    if (auto* local = std::get_if<Unix::acceptor>(&acceptor_); local != nullptr && local->is_open())
        unlink(local->local_endpoint().path().c_str());
    std::visit([&](auto& acceptor) { acceptor.close(ignored); }, acceptor_);
    std::exchange(on_empty_, nullptr)();
}

void Listener::close_sessions() {
    for (const auto& [id, close] : closers_) close(false);
}

// Waits for a connection and then accepts it without waiting. Asio's async_accept() would allocate in a
// handler. If that allocation failed, this coroutine would be destroyed, and the server would accept no more
// connections.
asio::awaitable<void> Listener::accept_loop() {
    OperationMemory<> memory;
    asio::steady_timer pause(*io_);
    RepeatedTrouble trouble;
    RepeatedTrouble memory_trouble;
    for (;;) {
        error_code ec;
        auto waiting = std::visit(
            [&](auto& acceptor) {
                return acceptor.async_wait(
                    asio::socket_base::wait_read,
                    with_memory(memory, asio::redirect_error(asio::use_awaitable, ec)));
            },
            acceptor_);
        co_await std::move(waiting);
        const bool closed = !std::visit([](auto& acceptor) { return acceptor.is_open(); }, acceptor_);
        if (closed) co_return;
        try {
            for (int i = 0; !ec && i < max_accepts; ++i) ec = accept_one();
        } catch (const std::bad_alloc&) {
            memory_trouble.log(LogLevel::error, "a connection was closed because memory is missing");
        }
        if (!ec || ec == asio::error::would_block) continue;
        trouble.log(LogLevel::warning, "accept failed: ", ec.message());
        pause.expires_after(accept_pause);
        co_await pause.async_wait(with_memory(memory, asio::use_awaitable));
    }
}

bool Listener::has_waiting_connection() {
    pollfd waiting{.fd = std::visit([](auto& acceptor) { return acceptor.native_handle(); }, acceptor_),
                   .events = POLLIN,
                   .revents = 0};
    return ::poll(&waiting, 1, 0) > 0;
}

// Starts a session for the next waiting connection. Closes the connection if there is no place for it or if
// this function throws. Returns would_block if no connection waits or can be accepted yet.
error_code Listener::accept_one() {
    error_code ec;
    error_code ignored;
    Stream::Socket socket(*io_);
    std::visit([&](auto& acceptor) { acceptor.accept(socket, ec); }, acceptor_);
    if (ec == asio::error::connection_aborted) return {};
    // Without a free descriptor, accept() fails even if no connection waits.
    if (ec == asio::error::no_descriptors && !has_waiting_connection()) return asio::error::would_block;
    // The new connection still waits. When the event loop has ended the session of the closed connection, the
    // new one can be accepted with that file descriptor.
    if (ec == asio::error::no_descriptors && close_victim(places_, places_.victim()))
        return asio::error::would_block;
    if (ec) return ec;
    if (std::holds_alternative<Tcp::acceptor>(acceptor_)) {
        socket.set_option(Tcp::no_delay(true), ignored);
        set_tcp_options(socket.native_handle());
    }
    admit(Stream(std::move(socket), app_->config.write_timeout));
    return {};
}

// Starts a session for the connection. If neither a place nor a reserved place is free, closes the connection
// without an answer.
void Listener::admit(Stream stream) {
    const std::uint64_t network = stream.peer_network();
    const bool over_limit = !make_room(places_, network);
    ConnectionTable& places = over_limit ? reserved_places_ : places_;
    if (over_limit && !make_room(places, network)) return;
    const auto id = next_session_++;
    try {
        places.add(id, network);
        stream.observe_interruptible(
            [&places, id](bool interruptible) { places.set_interruptible(id, interruptible); });
        start_session(id, std::move(stream), over_limit);
    } catch (const std::bad_alloc&) {
        places.remove(id);
        throw;
    }
}

// Returns true if `places` has room for a connection from `network`, after closing another connection if
// necessary.
bool Listener::make_room(ConnectionTable& places, std::uint64_t network) {
    return !places.is_full() || close_victim(places, places.victim_for(network));
}

bool Listener::close_victim(ConnectionTable& places, std::optional<ConnectionTable::Id> victim) {
    if (!victim) return false;
    places.remove(*victim);
    const Closer& close = closers_.at(*victim);
    close(false);  // the session of the closed connection ends later
    return true;
}

// If this function throws, the connection is closed, and end_session() is not called.
void Listener::start_session(ConnectionTable::Id id, Stream stream, bool over_limit) {
    auto closer = stream.make_closer();
    auto session = run_http_session(app_, std::move(stream), over_limit);
    closers_.emplace(id, std::move(closer));
    max_sessions_ = std::max(max_sessions_, closers_.size());
    app_->state.num_connections = closers_.size();
    spawn(io_->get_executor(), std::move(session), [this, id](const std::exception_ptr& problem) {
        end_session(id);
        log_failure("a session failed: ", problem);
    });
}

// Returns the memory of ended sessions to the system, because the allocator would otherwise keep it.
void Listener::trim_soon() {
    if (std::exchange(trim_is_due_, true)) return;
    trim_timer_.expires_after(trim_delay);
    trim_timer_.async_wait([this](error_code ec) {
        if (ec) return;
        trim_is_due_ = false;
        max_sessions_ = closers_.size();
        malloc_trim(0);
    });
}

void Listener::end_session(std::uint64_t id) {
    closers_.erase(id);
    places_.remove(id);
    reserved_places_.remove(id);
    app_->state.num_connections = closers_.size();
    if (max_sessions_ >= min_sessions_to_trim && closers_.size() < max_sessions_ / 2) trim_soon();
    const bool is_awaited = on_empty_ != nullptr && id < first_late_session_;
    if (is_awaited && --num_awaited_ == 0) finish_drain();
}

}  // namespace solard::server
