#include "server/responses/response_service.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <new>
#include <span>
#include <utility>

#include "server/api/error.hpp"
#include "server/api/identity.hpp"
#include "server/generation/admission.hpp"
#include "server/observe/repeated_trouble.hpp"
#include "server/observe/spawn.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

void log_failure(const std::exception_ptr& problem) {
    if (!problem) return;
    static RepeatedTrouble trouble;
    try {
        std::rethrow_exception(problem);
    } catch (const std::exception& e) {
        trouble.log(LogLevel::error, "a task which watches a response failed: ", e.what());
    }
}

asio::awaitable<void> wait_for_end(ResponsePtr record, asio::any_io_executor executor) {
    Wakeup wakeup(executor);
    LogReader reader(*record->log, wakeup);
    co_await reader.wait_terminal();
}

asio::awaitable<void> wait_for(asio::any_io_executor executor, std::chrono::milliseconds limit) {
    asio::steady_timer timer(executor, limit);
    co_await timer.async_wait(asio::use_awaitable);
}

// Cancels the response if it has no follower when `limit` has passed. If memory for the wait is missing,
// checks immediately whether the response has a follower.
void cancel_unless_followed(const ResponsePtr& record, const asio::any_io_executor& executor,
                            std::chrono::milliseconds limit) {
    spawn(executor, wait_for(executor, limit),
          [record, left_at = record->left_at](const std::exception_ptr& problem) {
              // If a follower came and left during the wait, left_at has changed, and another wait has begun.
              if (record->num_followers == 0 && record->left_at == left_at) cancel_response(*record);
              log_failure(problem);
          });
}

// Returns the message which a response has given.
ChatMessage message_of(const ResponseState& state) {
    ChatMessage message{Role::assistant, ""};
    for (std::size_t i = 0; i < state.num_items(!state.items.empty()); ++i) {
        const AnswerItem& item = state.item(i);
        const std::string content(state.content_of(i));
        if (item.kind == AnswerItem::Kind::message) {
            message.content += content;
        } else if (item.is_complete) {
            message.calls.push_back(
                {item.id, item.name,
                 item.kind == AnswerItem::Kind::custom_call ? custom_arguments(content) : content});
        }
    }
    return message;
}

// Returns the conversation which the request continues: the messages of the parent's prompt and the parent's
// output.
result<std::vector<ChatMessage>> inherited_conversation(const ResponseRequest& request,
                                                        const ResponseRecord* parent) {
    if (!request.previous_response_id) return std::vector<ChatMessage>();
    if (parent == nullptr || !parent->log->terminal() || parent->state().status == ResponseStatus::failed)
        return Error{errc::previous_response_not_found,
                     "previous_response_id does not name a finished response.", "previous_response_id"};
    if (request.store && !parent->facts.request.store)
        return default_error(errc::invalid_store_transition, "store");
    std::vector<ChatMessage> messages = parent->conversation;
    const ResponseState state = parent->state();
    if (!state.has_output) return messages;
    ChatMessage message = message_of(state);
    if (parent->facts.request.end != PromptEnd::assistant_turn && !messages.empty() &&
        messages.back().role == Role::assistant) {
        messages.back().content += message.content;  // the response continued this message
        auto& calls = messages.back().calls;
        calls.insert(calls.end(), message.calls.begin(), message.calls.end());
    } else {
        messages.push_back(std::move(message));
    }
    return messages;
}

struct Prepared {
    std::vector<ChatMessage> conversation;  // without the instructions, which are not inherited
    std::vector<TokenId> token_ids;
};

// Renders and encodes the prompt.
asio::awaitable<result<std::vector<TokenId>>> encode(GenerationService& generation, JobSource source,
                                                     const ResponseRequest& request,
                                                     std::span<const ChatMessage> conversation) {
    ChatPrompt prompt;
    if (!request.instructions.value_or("").empty())
        prompt.messages.push_back({Role::system, *request.instructions});
    prompt.messages.insert(prompt.messages.end(), conversation.begin(), conversation.end());
    prompt.end = request.end;
    prompt.inputs.kwargs = request.template_kwargs;
    if (request.generation.tools) prompt.inputs.tools = request.generation.tools->described;
    auto rendering = render_chat(generation, source, std::move(prompt), "input");
    auto rendered = co_await std::move(rendering);
    if (!rendered) co_return rendered.error();
    co_return std::move(rendered->token_ids);
}

// Returns true if the context holds the prompt and leaves enough room for the answer: max_tokens, but never
// more than a quarter of the context, because clients send large bounds without need.
bool has_capacity(const GenerationService& generation, const ResponseRequest& request,
                  std::size_t prompt_tokens) {
    const std::int64_t context = generation.model.context_length;
    const std::int64_t wanted = std::min<std::int64_t>(generation.model.token_bound(request.generation),
                                                       std::max<std::int64_t>(context / 4, 1));
    return static_cast<std::int64_t>(prompt_tokens) + wanted <= context;
}

// Returns true if encode() failed for another reason than the length of the prompt. Fewer messages
// would not help then.
bool is_other_error(const result<std::vector<TokenId>>& token_ids) {
    return !token_ids && token_ids.error().code != errc::context_length_exceeded;
}

// Prepares the prompt without the oldest messages of `conversation`. Leaves out as few messages as possible,
// and never the last message. What is kept begins with a message of the user, if it is more than the last
// message: many chat templates refuse anything else.
asio::awaitable<result<Prepared>> prepare_truncated(GenerationService& generation, JobSource source,
                                                    const ResponseRequest& request,
                                                    std::span<const ChatMessage> conversation) {
    // The results of calls stay together with the message that made the calls.
    std::size_t last = conversation.size() - 1;
    while (last > 0 && conversation[last].role == Role::tool) --last;
    std::vector<std::size_t> cuts;  // the numbers of messages that may be left out
    for (std::size_t i = 0; i < conversation.size(); ++i) {
        if (i == 0 || i == last || (i < last && conversation[i].role == Role::user)) cuts.push_back(i);
    }
    std::size_t low = 0;  // the index of the cut is in [low, high]
    std::size_t high = cuts.size() - 1;
    for (;;) {
        const std::size_t index = low + (high - low) / 2;
        const std::size_t middle = cuts[index];
        auto encoding = encode(generation, source, request, conversation.subspan(middle));
        auto token_ids = co_await std::move(encoding);
        if (is_other_error(token_ids)) co_return token_ids.error();
        const bool fits = token_ids && has_capacity(generation, request, token_ids->size());
        if (low == high) {
            if (!token_ids) co_return token_ids.error();
            const auto kept = conversation.subspan(middle);
            Prepared prepared{{kept.begin(), kept.end()}, *std::move(token_ids)};
            co_return prepared;
        }
        (fits ? high : low) = fits ? index : index + 1;
    }
}

asio::awaitable<result<Prepared>> prepare(GenerationService& generation, JobSource source,
                                          const ResponseRequest& request, const ResponseRecord* parent) {
    if (auto served = check_model(generation, request.generation.model); !served) co_return served.error();
    auto conversation = inherited_conversation(request, parent);
    if (!conversation) co_return conversation.error();
    conversation->insert(conversation->end(), request.input.begin(), request.input.end());
    if (request.end != PromptEnd::assistant_turn && request.input.empty() &&
        conversation->back().role != Role::assistant)
        co_return Error{errc::invalid_value,
                        "input must not be empty, because an answer cannot continue a message of the user.",
                        "input"};
    auto encoding = encode(generation, source, request, *conversation);
    auto token_ids = co_await std::move(encoding);
    if (is_other_error(token_ids)) co_return token_ids.error();
    const bool fits = token_ids && has_capacity(generation, request, token_ids->size());
    if (!fits && request.truncate) {
        auto truncating = prepare_truncated(generation, source, request, *conversation);
        co_return co_await std::move(truncating);
    }
    if (!token_ids) co_return token_ids.error();
    Prepared prepared{*std::move(conversation), *std::move(token_ids)};
    co_return prepared;
}

ResponseFacts make_facts(const ServedModel& model, ResponseRequest request, bool may_call) {
    const auto identity = make_identity("resp_", model.names.front());
    const auto& sampling = request.generation.sampling;
    const auto& defaults = model.config.generation;
    request.generation.max_tokens = model.token_bound(request.generation);
    return {.id = identity.id,
            .item_id = make_identity("msg_", {}).id,
            .model = identity.model,
            .created_at = identity.created,
            .temperature = sampling.temperature.value_or(defaults.temperature),
            .top_p = sampling.top_p.value_or(defaults.top_p),
            .may_call = may_call,
            .request = std::move(request)};
}

// Returns the owner whose responses the caller sees: its key, or one common owner for all callers without a
// key.
std::uint64_t owner_of(const Caller& caller) {
    return caller.key ? *caller.key + 1 : 0;
}

// Returns the response if it can have one more follower.
result<ResponsePtr> to_follow(ResponsePtr record) {
    if (auto allowed = check_num_followers(*record); !allowed) return allowed.error();
    return record;
}

}  // namespace

result<void> check_num_followers(const ResponseRecord& record) {
    if (record.num_followers < max_followers) return {};
    return Error{errc::rate_limit_exceeded,
                 "This response already has " + std::to_string(max_followers) +
                     " readers, which is the limit. Close one of its streams, or detach it from a lane, and "
                     "try again."};
}

// Returns the response which an earlier copy of the same request started, if any.
ResponsePtr ResponseService::find_repeated(const ResponseRequest& request, const Caller& caller) {
    if (request.idempotency_key.empty()) return nullptr;
    auto record =
        store_.find_repeated(request.idempotency_key, owner_of(caller), ResponseStore::Clock::now());
    // If the earlier response was cancelled or failed, the request gets a new response.
    return record && !record->log->failure() ? record : nullptr;
}

ResponsePtr ResponseService::find_or_null(const std::string& id, const Caller& caller) {
    return store_.find(id, owner_of(caller), ResponseStore::Clock::now());
}

result<ResponsePtr> ResponseService::find(const std::string& id, const Caller& caller) {
    if (auto record = find_or_null(id, caller)) return record;
    const auto code =
        store_.has_expired(id, owner_of(caller)) ? errc::response_expired : errc::response_not_found;
    return default_error(code, "response_id");
}

result<void> ResponseService::check_size(const ResponseRequest& request) const {
    std::size_t num_bytes = request.instructions.value_or("").size();
    const auto counted =
        std::span(request.input)
            .last(request.truncate ? std::min<std::size_t>(request.input.size(), 1) : request.input.size());
    for (const ChatMessage& message : counted) num_bytes += message.content.size();
    return check_text_size(generation_, num_bytes, "input");
}

// Starts a coroutine that waits until the log of the response is terminal, and then ends the generation.
// After that, a stored response no longer takes up a place in the engine or a part of a quota, and holds no
// memory which only a running response needs. If memory for the coroutine is missing, the response fails.
void ResponseService::release_at_end(const ResponsePtr& record) {
    const auto executor = io_.get_executor();
    spawn(executor, wait_for_end(record, executor), [this, record](const std::exception_ptr& problem) {
        if (problem) record->log->fail({errc::server_error, {}});
        record->running.reset();
        if (record->facts.request.store) {
            store_.note_end(*record, ResponseStore::Clock::now());
        } else {
            release_after_end(*record);
            record->log->charge_also(record_bytes(*record));
        }
        log_failure(problem);
    });
}

asio::awaitable<result<ResponsePtr>> ResponseService::create(ResponseRequest request, Caller caller,
                                                             ResponsePtr parent, InputCharge* charge) {
    if (auto repeated = find_repeated(request, caller)) co_return to_follow(std::move(repeated));
    if (auto open = generation_.engine.check_open(caller); !open) co_return open.error();
    const JobSource source{caller.owner, charge};
    auto preparing = prepare(generation_, source, request, parent.get());
    auto prepared = co_await std::move(preparing);
    if (!prepared) co_return prepared.error();
    auto compiling = grammar_of(generation_, source, request.generation, prepared->token_ids.size(), "input");
    auto grammar = co_await std::move(compiling);
    if (!grammar) co_return grammar.error();
    if (!request.generate) *grammar = nullptr;
    // A copy of the request may have come while the prompt was encoded. The code below does not suspend, so
    // no other copy can come before the response is stored.
    if (auto repeated = find_repeated(request, caller)) co_return to_follow(std::move(repeated));
    GenerationFields fields = request.generation;
    release_engine_fields(request);
    if (!request.generate) fields.max_tokens = 1;
    std::vector<std::vector<TokenId>> prompts;
    prompts.push_back(std::move(prepared->token_ids));
    auto generation = admit(generation_, fields, caller, std::move(prompts), *grammar, "input");
    if (!generation) co_return generation.error();
    if (charge != nullptr) charge->resize(0);  // because the record is charged below
    auto record = std::make_shared<ResponseRecord>();
    record->owner = owner_of(caller);
    record->memory_owner = memory_owner(caller);
    record->facts = make_facts(generation_.model, std::move(request), fields.tools.has_value());
    record->facts.seed = generation->seed();
    record->conversation = std::move(prepared->conversation);
    record->conversation.shrink_to_fit();
    record->prompt_tokens = generation->prompt_tokens();
    record->log = generation->shared_log();
    record->running.emplace(*std::move(generation));
    try {
        record->log->charge_also(record_bytes(*record));
        release_at_end(record);
        if (record->facts.request.store) store_.insert(record, ResponseStore::Clock::now());
    } catch (const std::bad_alloc&) {
        cancel_response(*record);
        throw;
    }
    co_return record;
}

asio::awaitable<result<std::size_t>> ResponseService::count_input(ResponseRequest request, ResponsePtr parent,
                                                                  JobSource source) {
    auto preparing = prepare(generation_, source, request, parent.get());
    const auto prepared = co_await std::move(preparing);
    if (!prepared) co_return prepared.error();
    co_return prepared->token_ids.size();
}

void ResponseService::erase(const ResponsePtr& record) {
    cancel_response(*record);
    store_.erase(record->facts.id, record->owner, ResponseStore::Clock::now());
}

void ResponseService::follower_left(const ResponsePtr& record) {
    if (record->num_followers > 0 || !record->running || record->log->terminal()) return;
    if (record->facts.request.resumable && !io_.stopped()) {
        record->left_at = ResponseStore::Clock::now();
        try {
            cancel_unless_followed(record, io_.get_executor(), generation_.config.resume_timeout);
        } catch (const std::bad_alloc&) {
            cancel_response(*record);  // does not throw, because the caller is a destructor
        }
    } else {
        cancel_response(*record);
    }
}

}  // namespace solard::server
