#include "server/http/document_response.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "tests/support/rendered.hpp"

using namespace solard::server;
namespace asio = boost::asio;

namespace {

// An exchange that stores the bytes which it has to send. After `num_writes` writes, every further write
// fails as if the client had disconnected.
class RecordingExchange final : public HttpExchange {
  public:
    RecordingExchange(asio::io_context& io, std::string method, std::size_t num_writes = SIZE_MAX)
        : HttpExchange({}, "req_1"), io_(io), num_writes_(num_writes) {
        request_.method = std::move(method);
    }

    asio::any_io_executor executor() override { return io_.get_executor(); }
    asio::awaitable<void> respond(HttpResponse response) override {
        whole = std::move(response.body);
        co_return;
    }
    asio::awaitable<void> begin_stream(std::string_view type, std::string_view first) override {
        content_type = type;
        auto writing = write(first);
        co_await std::move(writing);
    }
    asio::awaitable<void> write(std::string_view piece) override {
        if (pieces.size() == num_writes_) throw boost::system::system_error(asio::error::broken_pipe);
        pieces.emplace_back(piece);
        co_await asio::post(io_, asio::use_awaitable);
    }
    asio::awaitable<void> end_stream() override {
        ended = true;
        co_return;
    }
    void note_error(errc) override {}
    asio::awaitable<void> client_gone() override { co_return; }
    bool is_abandoned() const { return !keep_alive_; }

    std::string whole;
    std::string content_type;
    std::vector<std::string> pieces;
    bool ended = false;

  private:
    asio::io_context& io_;
    std::size_t num_writes_;
};

struct Sending {
    asio::io_context io;
    std::size_t num_rendered = 0;  // number of rendered list items
    std::exception_ptr problem;

    Document list_of(std::size_t count) {
        Document document;
        append_list(document, count, [this](std::string& out, std::size_t) {
            ++num_rendered;
            out += std::string(1000, '1');
        });
        return document;
    }
    void run(HttpExchange& exchange, Document& document, std::function<bool()> reread = [] { return true; }) {
        asio::co_spawn(io, send_document(exchange, document, std::move(reread)),
                       [this](const std::exception_ptr& thrown) { problem = thrown; });
        io.run();
    }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(document_response, Sending)

BOOST_AUTO_TEST_CASE(short_document_is_sent_whole) {
    RecordingExchange exchange(io, "GET");
    Document document = list_of(10);
    const std::string expected = rendered(list_of(10));
    run(exchange, document);
    BOOST_TEST(exchange.whole == expected);
    BOOST_TEST(exchange.pieces.empty());
}

// An exchange sends each piece in one write. Between two pieces, the event loop can run other handlers.
BOOST_AUTO_TEST_CASE(long_document_is_sent_in_pieces_of_bounded_size) {
    RecordingExchange exchange(io, "GET");
    Document document = list_of(5000);
    const std::string expected = rendered(list_of(5000));
    run(exchange, document);
    std::string sent;
    for (const auto& piece : exchange.pieces) {
        BOOST_TEST(piece.size() <= max_document_piece + 1001);
        sent += piece;
    }
    BOOST_TEST(exchange.pieces.size() > 70U);
    BOOST_TEST((sent == expected));
    BOOST_TEST(exchange.content_type == "application/json");
    BOOST_TEST(exchange.ended);
}

BOOST_AUTO_TEST_CASE(rendering_stops_when_the_client_is_gone) {
    RecordingExchange exchange(io, "GET", 3);
    Document document = list_of(5000);
    run(exchange, document);
    BOOST_TEST((problem != nullptr));
    BOOST_TEST(num_rendered <= 4 * 66U);
}

BOOST_AUTO_TEST_CASE(lost_text_ends_the_answer_without_the_end_of_the_body) {
    RecordingExchange exchange(io, "GET");
    Document document = list_of(5000);
    int num_calls = 0;
    run(exchange, document, [&] { return ++num_calls < 3; });
    BOOST_TEST(exchange.pieces.size() == 3U);
    BOOST_TEST(exchange.is_abandoned());
    BOOST_TEST(!exchange.ended);
}

BOOST_AUTO_TEST_CASE(head_renders_one_piece_only) {
    RecordingExchange exchange(io, "HEAD");
    Document document = list_of(5000);
    run(exchange, document);
    BOOST_TEST(exchange.pieces.size() == 1U);
    BOOST_TEST(num_rendered <= 66U);
}

BOOST_AUTO_TEST_SUITE_END()
