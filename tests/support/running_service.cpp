#include "tests/support/running_service.hpp"

#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/parse.hpp>
#include <charconv>
#include <csignal>
#include <stdexcept>
#include <utility>

#include "inference/model/chat_template.hpp"
#include "inference/text/detokenizer.hpp"
#include "server/config/parse_config.hpp"
#include "server/observe/log.hpp"
#include "server/service.hpp"
#include "tests/support/demo_tokenizer.hpp"

namespace solard::server {

namespace asio = boost::asio;

namespace {

constexpr const char* demo_model = SOLARD_SOURCE_DIR "/config/demo-model";
constexpr int give_up_seconds = 60;

}  // namespace

RunningService::OnlyOne::OnlyOne() {
    if (std::exchange(exists, true)) throw std::logic_error("a test runs two servers at the same time");
}

RunningService::RunningService(const std::vector<std::string>& flags, FakeOptions options)
    : options_(std::move(options)) {
    std::vector<std::string> arguments{
        "--port", "0", "--log-level", "error", "--model", demo_model, "--max-num-batched-tokens", "512"};
    const bool hold = !flags.empty() && flags.front() == hold_loading;
    arguments.insert(arguments.end(), flags.begin() + (hold ? 1 : 0), flags.end());
    options_.vocab_size = demo_tokenizer().vocab_size();
    options_.first_token = 300;  // control and byte tokens have lower ids, so every token has text

    std::packaged_task<int()> serve([this, config = parse_app_config(arguments, {}).value()] {
        set_log_level(config.log_level);
        ModelConfig model_config;
        model_config.max_position_embeddings = options_.capacity.max_model_len;
        model_config.eos_token_ids = {2};
        model_config.vocab_size = options_.vocab_size;
        App app(config, describe_model(config, model_config, ChatTemplate::solar()).value(),
                Tokenizer::load(demo_model, options_.vocab_size).value(),
                config.api_key_file.empty() ? ApiKeys() : ApiKeys::load(config.api_key_file).value());
        auto listener = Listener::bind(app.io, config).value();
        const std::string url = listener.url();
        Service service(app, std::move(listener), [](const EngineInfo&, const std::string&) {});
        bound_.set_value(static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1))));
        const int code = service.run([this] {
            load_.get_future().wait();
            return std::make_unique<FakeBackend>(options_, control_);
        });
        ended_.set_value(code);
        return code;
    });
    result_ = serve.get_future();
    thread_ = std::thread(std::move(serve));
    port_ = bound_.get_future().get();
    if (hold) return;
    finish_loading();
    for (bool ready = false; !ready;) {
        Connection connection(port_);
        connection.send(get_request("/v1/health/ready"));
        ready = connection.read_answer().status == 200;
    }
}

RunningService::~RunningService() {
    control_->open_gate();
    finish_loading();
    if (thread_.joinable() && result_.wait_for(std::chrono::seconds(0)) != std::future_status::ready)
        std::raise(SIGTERM);
    if (thread_.joinable()) thread_.join();
}

void RunningService::finish_loading() {
    if (!std::exchange(loaded_, true)) load_.set_value();
}

int RunningService::wait_until_ended() {
    return ended_.get_future().get();
}

int RunningService::exit_code() {
    thread_.join();
    return result_.get();
}

std::vector<TokenId> RunningService::reference_tokens(const std::string& user_text, std::int32_t count,
                                                      std::uint32_t choice) const {
    const std::vector<ChatMessage> messages{{Role::user, user_text}};
    auto prompt = demo_tokenizer().encode_chat(ChatTemplate::solar().render(messages).value()).value();
    return fake_reference(std::move(prompt), count, options_, {.choice = choice});
}

std::string RunningService::reference_text(const std::string& user_text, std::int32_t count,
                                           std::uint32_t choice) const {
    const Tokenizer& tokenizer = demo_tokenizer();
    Detokenizer detokenizer;
    std::string text;
    for (const TokenId token : reference_tokens(user_text, count, choice))
        detokenizer.append(tokenizer.bytes_of(token), text);
    detokenizer.flush(text);
    return text;
}

Connection::Connection(std::uint16_t port, int receive_buffer, const char* source) : socket_(io_) {
    socket_.open(asio::ip::tcp::v4());
    // The buffer size must be set before connecting, because it limits the TCP window.
    if (receive_buffer > 0) socket_.set_option(asio::socket_base::receive_buffer_size(receive_buffer));
    if (source != nullptr) socket_.bind({asio::ip::make_address(source), 0});
    socket_.connect({asio::ip::make_address("127.0.0.1"), port});
    const timeval limit{.tv_sec = give_up_seconds, .tv_usec = 0};
    setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

void Connection::send(std::string_view bytes) {
    asio::write(socket_, asio::buffer(bytes));
}

void Connection::close() {
    socket_.close();
}

void Connection::half_close() {
    socket_.shutdown(asio::socket_base::shutdown_send);
}

bool Connection::read_more() {
    char bytes[4096];
    const auto size = recv(socket_.native_handle(), bytes, sizeof bytes, 0);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        throw std::runtime_error("the server sent nothing for 60 seconds");
    if (size <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(size));
    return true;
}

std::string Connection::read_until(std::string_view text) {
    while (buffer_.find(text) == std::string::npos)
        if (!read_more())
            throw std::runtime_error("the connection was closed before '" + std::string(text) +
                                     "' arrived: " + buffer_);
    return buffer_;
}

std::string Connection::read_bytes(std::size_t count) {
    while (buffer_.size() < count && read_more()) {
    }
    std::string bytes = buffer_.substr(0, count);
    buffer_.erase(0, bytes.size());
    return bytes;
}

bool Connection::at_end() {
    while (read_more()) {
    }
    return true;
}

HttpAnswer Connection::read_answer() {
    HttpAnswer answer;
    while (buffer_.find("\r\n\r\n") == std::string::npos)
        if (!read_more()) return answer;
    const auto head_end = buffer_.find("\r\n\r\n") + 4;
    answer.head = buffer_.substr(0, head_end);
    buffer_.erase(0, head_end);
    answer.status = std::stoi(answer.head.substr(9, 3));
    const auto want = [&](std::size_t size) {
        while (buffer_.size() < size)
            if (!read_more()) return false;
        return true;
    };
    if (const auto at = answer.head.find("Content-Length: "); at != std::string::npos) {
        const auto size = std::stoul(answer.head.substr(at + 16));
        answer.complete = want(size);
        answer.body = buffer_.substr(0, size);
        buffer_.erase(0, size);
    } else if (answer.has("Transfer-Encoding: chunked")) {
        for (;;) {
            while (buffer_.find("\r\n") == std::string::npos)
                if (!read_more()) return answer;
            const auto line = buffer_.find("\r\n");
            const auto size = std::stoul(buffer_.substr(0, line), nullptr, 16);
            if (!want(line + 2 + size + 2)) return answer;
            answer.body += buffer_.substr(line + 2, size);
            buffer_.erase(0, line + 2 + size + 2);
            if (size == 0) break;
        }
        answer.complete = true;
    } else if (answer.status != 100 && answer.status != 204) {
        while (read_more()) {
        }
        answer.body = std::exchange(buffer_, {});
        answer.complete = true;
    }
    return answer;
}

boost::json::object metadata(std::uint16_t port) {
    Connection connection(port);
    connection.send(get_request("/v1/metadata"));
    return boost::json::parse(connection.read_answer().body).as_object();
}

namespace {

template <class Condition>
void wait_for_engine(std::uint16_t port, Condition condition) {
    constexpr int max_tries = 200'000;
    for (int tries = 0; tries < max_tries; ++tries) {
        if (condition(metadata(port).at("engine").as_object())) return;
    }
    throw std::runtime_error("the engine did not reach the expected state");
}

}  // namespace

void wait_for_in_flight(std::uint16_t port, std::int64_t count) {
    wait_for_engine(port, [&](const auto& engine) { return engine.at("in_flight") == count; });
}

void wait_for_free_blocks(std::uint16_t port) {
    wait_for_engine(port,
                    [](const auto& engine) { return engine.at("free_blocks") == engine.at("num_blocks"); });
}

std::string chat_request(std::string_view user_text, std::string_view fields) {
    std::string body = R"({"messages":[{"role":"user","content":")" + std::string(user_text) +
                       R"("}],"temperature":0,"seed":0)";
    if (!fields.empty()) body.append(",").append(fields);
    body += '}';
    return post_request("/v1/chat/completions", body);
}

std::string post_request(std::string_view path, std::string_view body) {
    std::string request = "POST ";
    request.append(path).append(" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n");
    request.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n").append(body);
    return request;
}

std::string get_request(std::string_view path) {
    return "GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
}

}  // namespace solard::server
