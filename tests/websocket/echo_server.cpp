// An echo server on the product's own WebSocket transport, for the conformance cases. It prints its port.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>

#include "server/ws/socket.hpp"

namespace asio = boost::asio;
using asio::use_awaitable;
using namespace solard;
using namespace solard::server;

namespace {

constexpr std::size_t max_message = 16 << 20;
constexpr std::chrono::seconds write_timeout{30};

asio::awaitable<std::string> read_websocket_key(Stream& stream) {
    std::string head;
    char byte = 0;
    while (!head.ends_with("\r\n\r\n")) {
        co_await stream.async_read_some(asio::buffer(&byte, 1), use_awaitable);
        head += byte;
    }
    const std::string name = "Sec-WebSocket-Key: ";
    const auto begin = head.find(name) + name.size();
    co_return head.substr(begin, head.find("\r\n", begin) - begin);
}

asio::awaitable<void> echo(Stream stream) {
    WsSocket::Handshake handshake;
    handshake.key = co_await read_websocket_key(stream);
    WsSocket socket(std::move(stream), max_message, [](WsSocket::Control) {}, [] {});
    WaitingMemory memory(SIZE_MAX);
    InputCharge charge(memory, 0, [] {});
    auto accepting = socket.accept(std::move(handshake));
    co_await std::move(accepting);
    for (;;) {
        auto reading = socket.read(charge);
        const auto message = co_await std::move(reading);
        if (message.kind == WsSocket::Kind::closed) co_return;
        auto writing = socket.write(message.text, message.kind);
        co_await std::move(writing);
    }
}

void end(const std::exception_ptr& problem) {
    try {
        if (problem) std::rethrow_exception(problem);
    } catch (const boost::system::system_error&) {  // The client has disconnected.
    }
}

asio::awaitable<void> accept_all(asio::ip::tcp::acceptor& acceptor) {
    for (;;) {
        Stream::Socket socket(acceptor.get_executor());
        co_await acceptor.async_accept(socket, use_awaitable);
        asio::co_spawn(acceptor.get_executor(), echo(Stream(std::move(socket), write_timeout)), end);
    }
}

}  // namespace

int main() {
    asio::io_context io{1};
    asio::ip::tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
    std::printf("%d\n", int{acceptor.local_endpoint().port()});
    std::fflush(stdout);
    asio::co_spawn(io, accept_all(acceptor), end);
    io.run();
}
