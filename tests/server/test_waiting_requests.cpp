// Tests that the memory of a request is charged while the request waits for the worker thread. The test
// itself runs the event loop, so that it knows which requests wait.
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/parse.hpp>
#include <boost/test/unit_test.hpp>
#include <deque>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "server/app.hpp"
#include "server/config/parse_config.hpp"
#include "server/endpoints/handlers.hpp"
#include "server/ws/conversation.hpp"
#include "tests/support/fake_backend.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

constexpr std::size_t limit = 1 << 20;  // the smallest valid value of --max-waiting-memory
constexpr const char* demo_model = SOLARD_SOURCE_DIR "/config/demo-model";
const std::string long_prompt(60'000, 'x');  // is parsed on the I/O thread, and encoded on the worker thread

AppConfig make_config() {
    return parse_app_config(
               {"--log-level", "error", "--model", demo_model, "--max-waiting-memory", std::to_string(limit)},
               {})
        .value();
}

FakeOptions fake_options(const Tokenizer& tokenizer) {
    FakeOptions options;
    options.capacity = {
        .num_blocks = 8192, .max_tokens_per_step = 4096, .max_seqs_per_step = 8, .max_model_len = 64'000};
    options.vocab_size = tokenizer.vocab_size();
    options.first_token = 300;
    return options;
}

HttpRequest request_of(WaitingMemory& memory, std::uint64_t owner, std::string body) {
    HttpRequest request;
    request.method = "POST";
    request.body = std::move(body);
    request.body.shrink_to_fit();  // as the server reads a body: without unused memory
    request.caller = {.principal = owner, .owner = owner};
    request.body_charge = std::make_unique<InputCharge>(memory, owner, [] {});
    request.body_charge->resize(request.body.capacity());
    return request;
}

// The exchange of a client that waits for a whole answer.
class WholeExchange final : public HttpExchange {
  public:
    WholeExchange(App& app, std::uint64_t owner, std::string body)
        : HttpExchange(request_of(app.state.waiting_memory, owner, std::move(body)), "req_1"), io_(app.io) {}

    asio::any_io_executor executor() override { return io_.get_executor(); }
    asio::awaitable<void> respond(HttpResponse response) override {
        answer = std::move(response);
        co_return;
    }
    asio::awaitable<void> begin_stream(std::string_view, std::string_view) override { co_return; }
    asio::awaitable<void> write(std::string_view) override { co_return; }
    asio::awaitable<void> end_stream() override { co_return; }
    void note_error(errc) override {}
    asio::awaitable<void> client_gone() override {
        asio::steady_timer never(io_, asio::steady_timer::time_point::max());
        co_await never.async_wait(asio::use_awaitable);
    }

    std::optional<HttpResponse> answer;

  private:
    asio::io_context& io_;
};

// A server without sockets, whose engine is ready and whose worker thread is blocked until release().
struct Fixture {
    Fixture() : app(make_config(), model(), Tokenizer::load(demo_model, 1 << 20).value()) {
        const FakeOptions fake = fake_options(app.generation.tokenizer);
        bool ready = false;
        app.generation.engine.start(
            [fake] { return std::make_unique<FakeBackend>(fake, std::make_shared<FakeControl>()); },
            app.generation.tokenizer, {.max_num_batched_tokens = 4096},
            {.max_queued_requests = 64, .max_queued_tokens = 1 << 20},
            [&](const EngineInfo&) { ready = true; }, [](const Error&) {});
        while (!ready) app.io.run_one();
        start(block(&app.generation.worker, &unblock));
        bytes_before = app.state.waiting_memory.bytes();
    }
    ~Fixture() { release(); }
    Fixture(const Fixture&) = delete;
    Fixture& operator=(const Fixture&) = delete;

    static ServedModel model() {
        ModelConfig config;
        config.max_position_embeddings = 64'000;
        config.eos_token_ids = {2};
        config.vocab_size = Tokenizer::load(demo_model, 1 << 20).value().vocab_size();
        return describe_model(make_config(), config, ChatTemplate::solar()).value();
    }
    static asio::awaitable<void> block(WorkerThread* worker, std::promise<void>* release) {
        auto work = [release] {
            release->get_future().wait();
            return true;
        };
        auto blocking = worker->offload({}, false, std::move(work));
        co_await std::move(blocking);
    }
    // Starts a coroutine and returns when it waits or has ended.
    void start(asio::awaitable<void> work) {
        asio::co_spawn(app.io, std::move(work), [](const std::exception_ptr& problem) {
            if (problem) std::rethrow_exception(problem);
        });
        app.io.poll();
    }
    WholeExchange& ask(std::uint64_t owner, std::string body) {
        return exchanges.emplace_back(app, owner, std::move(body));
    }
    std::size_t charged() const { return app.state.waiting_memory.bytes() - bytes_before; }
    void release() {
        if (!std::exchange(is_released, true)) unblock.set_value();
    }
    template <class Condition>
    void run_until(Condition condition) {
        while (!condition()) app.io.run_one();
    }

    std::promise<void> unblock;
    bool is_released = false;
    std::deque<WholeExchange> exchanges;
    App app;
    asio::executor_work_guard<asio::io_context::executor_type> work{app.io.get_executor()};
    std::size_t bytes_before = 0;
};

// Throws if the exchange has no answer yet.
const HttpResponse& answer_of(const WholeExchange& exchange) {
    if (!exchange.answer) throw std::logic_error("the exchange has no answer yet");
    return *exchange.answer;
}

std::string error_code_of(const WholeExchange& exchange) {
    return std::string(boost::json::parse(answer_of(exchange).body).at("error").at("code").as_string());
}

std::string prompt_body(const std::string& prompt) {
    return R"({"prompt":")" + prompt + R"("})";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(waiting_requests)

BOOST_AUTO_TEST_CASE(body_is_charged_until_its_request_is_admitted) {
    const std::string prompt = R"("prompt":")" + long_prompt + '"';
    const std::string input = R"("input":")" + long_prompt + '"';
    const std::string messages = R"("messages":[{"role":"user","content":")" + long_prompt + R"("}])";
    Fixture fixture;
    App& app = fixture.app;
    const auto ask = [&](const std::string& fields) -> HttpExchange& {
        return fixture.ask(1, "{" + fields + "}");
    };
    std::size_t num_waiting = 0;
    const auto wait = [&](asio::awaitable<void> handling) {
        fixture.start(std::move(handling));
        ++num_waiting;
        BOOST_TEST(fixture.charged() >= num_waiting * long_prompt.size());
    };
    wait(handle_chat_completions(app.generation, ask(messages + R"(,"max_tokens":2)")));
    wait(handle_completions(app.generation, ask(prompt + R"(,"max_tokens":2)")));
    wait(handle_create_response(app.responses, ask(input + R"(,"max_output_tokens":2,"store":false)")));
    wait(handle_input_tokens(app.responses, ask(input)));
    wait(handle_render(app.generation, ask(messages)));
    wait(handle_tokenize(app.generation, ask(prompt)));
    fixture.release();
    fixture.run_until([&] {
        return std::ranges::all_of(fixture.exchanges, [](const auto& one) { return one.answer.has_value(); });
    });
    for (const WholeExchange& exchange : fixture.exchanges) BOOST_TEST(answer_of(exchange).status == 200U);
    fixture.run_until([&] { return fixture.charged() == 0; });
}

BOOST_AUTO_TEST_CASE(waiting_requests_of_the_largest_owner_give_way_and_another_owner_is_answered) {
    Fixture fixture;
    GenerationService& generation = fixture.app.generation;
    constexpr std::size_t num_requests = 17;
    for (std::size_t i = 0; i < num_requests; ++i)
        fixture.start(handle_tokenize(generation, fixture.ask(1, prompt_body(long_prompt))));
    BOOST_TEST(fixture.charged() >= num_requests * long_prompt.size());
    WholeExchange& other = fixture.ask(2, std::string(60'000, ' ') + prompt_body("hi"));
    fixture.start(handle_tokenize(generation, other));
    BOOST_TEST(answer_of(other).status == 200U);
    std::size_t num_refused = 0;
    for (std::size_t i = 0; i < num_requests; ++i) {
        if (!fixture.exchanges[i].answer) continue;
        ++num_refused;
        BOOST_TEST(answer_of(fixture.exchanges[i]).status == 503U);
        BOOST_TEST(error_code_of(fixture.exchanges[i]) == "server_overloaded");
    }
    BOOST_TEST(num_refused > 0U);
    BOOST_TEST(num_refused < 3U);
    fixture.release();
    fixture.run_until([&] {
        return std::ranges::all_of(fixture.exchanges, [](const auto& one) { return one.answer.has_value(); });
    });
    BOOST_TEST(fixture.charged() == 0U);
}

BOOST_AUTO_TEST_CASE(request_of_a_socket_is_charged_while_its_prompt_is_encoded_and_gives_way) {
    Fixture fixture;
    App& app = fixture.app;
    auto conversation = std::make_shared<WsConversation>(app.responses, app.state, Caller{.owner = 1}, false);
    InputCharge message_charge(app.state.waiting_memory, 1, {});
    const auto send = [](WsConversation* to, InputCharge* charge) -> asio::awaitable<void> {
        std::string text = R"({"type":"response.create","input":")" + long_prompt + R"("})";
        auto handling = to->on_message(std::move(text), *charge);
        co_await std::move(handling);
    };
    fixture.start(send(conversation.get(), &message_charge));
    BOOST_TEST(fixture.charged() >= long_prompt.size());
    // Owner 1 now has the most bytes, and input gives way before output.
    WaitingAccount output(app.state.waiting_memory, 1, WaitingKind::output, [](std::size_t) {});
    BOOST_TEST(output.resize(limit - app.state.waiting_memory.bytes()));
    InputCharge other(app.state.waiting_memory, 2, {});
    BOOST_TEST(other.resize(1000));
    BOOST_TEST(output.bytes() > limit / 2);
    app.io.poll();
    std::string frame;
    BOOST_REQUIRE(conversation->next_frame(Wakeup::Clock::now(), frame));
    BOOST_TEST(boost::json::parse(frame).at("code") == "server_overloaded");
    BOOST_TEST(conversation->idle());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
