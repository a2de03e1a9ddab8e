#include "inference/grammar/compiler.hpp"

#include <xgrammar/xgrammar.h>

#include <algorithm>
#include <bit>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <new>
#include <optional>
#include <random>
#include <stdexcept>
#include <vector>

#include "inference/grammar/compact_form.hpp"
#include "inference/grammar/regex.hpp"
#include "inference/grammar/schema_grammar.hpp"
#include "inference/grammar/text_automaton.hpp"
#include "inference/sizes.hpp"
#include "inference/token_mask.hpp"

namespace solard {
namespace {

// Where the warnings of the library are kept while this thread compiles a grammar, or null. It warns about
// what it does not follow.
thread_local std::string* warnings = nullptr;

}  // namespace
}  // namespace solard

// The library calls these functions for its messages (its logging.h, XGRAMMAR_LOG_CUSTOMIZE).
namespace xgrammar {

[[noreturn]] void LogFatalImpl(const std::string&, int, const std::string& message) {
    throw std::runtime_error(message);
}

void LogMessageImpl(const std::string&, int, int level, const std::string& message) {
    constexpr int warning = 2;
    if (level < warning || solard::warnings == nullptr) return;
    if (!solard::warnings->empty()) *solard::warnings += "; ";
    *solard::warnings += message;
}

}  // namespace xgrammar

namespace solard {
namespace {

xgrammar::TokenizerInfo tokenizer_info(const GrammarVocabulary& vocabulary) {
    return {vocabulary.texts, xgrammar::VocabType::RAW, static_cast<int>(vocabulary.texts.size()),
            std::vector<std::int32_t>(vocabulary.end_tokens.begin(), vocabulary.end_tokens.end())};
}

// Replaces the schemas in a structural tag by grammars.
void replace_schemas(boost::json::value& format) {
    if (auto* const list = format.if_array())
        for (boost::json::value& item : *list) replace_schemas(item);
    auto* const object = format.if_object();
    if (object == nullptr) return;
    const auto* const type = object->if_contains("type");
    if (type == nullptr || *type != "json_schema") {
        for (auto& member : *object) replace_schemas(member.value());
        return;
    }
    format = {{"type", "grammar"}, {"grammar", schema_grammar(object->at("json_schema")).ToString()}};
}

// A tag adds levels to the schemas in it.
boost::json::value parse_deep(std::string_view text) {
    constexpr std::size_t max_depth = 100;
    return boost::json::parse(text, {}, {.max_depth = max_depth});
}

// Returns the texts which begin the parts of a structural tag, in which most of its work is.
std::vector<std::string> triggers_of(const GrammarSource& source) {
    std::vector<std::string> triggers;
    if (source.kind != GrammarSource::Kind::structural_tag) return triggers;
    const boost::json::value tag = parse_deep(source.text);
    if (const auto* const list = tag.at("format").as_object().if_contains("triggers"))
        for (const boost::json::value& trigger : list->as_array()) triggers.emplace_back(trigger.as_string());
    return triggers;
}

xgrammar::CompiledGrammar compile(const GrammarSource& source, const xgrammar::TokenizerInfo& info) {
    xgrammar::GrammarCompiler compiler(info, 1, false);
    switch (source.kind) {
        case GrammarSource::Kind::json_object:
            return compiler.CompileGrammar(schema_grammar({{"type", "object"}}));
        case GrammarSource::Kind::json_schema:
            return compiler.CompileGrammar(schema_grammar(parse_deep(source.text)));
        case GrammarSource::Kind::gbnf:
            return compiler.CompileGrammar(source.text);
        case GrammarSource::Kind::lark:
            return compiler.CompileLark(source.text);
        case GrammarSource::Kind::regex: {
            const auto regex = parse_regex(source.text, RegexScope::whole_text);
            if (!regex) throw std::runtime_error(regex.error().message);
            const auto automaton = make_automaton(*regex, {});
            if (!automaton) throw std::runtime_error(automaton.error().message);
            return compiler.CompileGrammar(automaton_grammar(*automaton));
        }
        case GrammarSource::Kind::structural_tag: {
            boost::json::value tag = parse_deep(source.text);
            replace_schemas(tag);
            return compiler.CompileStructuralTag(boost::json::serialize(tag));
        }
    }
    std::abort();
}

double cpu_seconds() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// What a mask may take, in seconds. Usual schemas take a tenth of that and less.
constexpr double slowest_mask = 0.02;
constexpr double slowest_mean = 300e-6;
// While an answer is written, each token earns some time for its mask, and some of it can be saved.
constexpr double earned_time = 2 * slowest_mean;
constexpr double most_saved_time = 5 * slowest_mask;
constexpr auto too_slow = "it takes too long to find out which tokens it allows";

class State final : public GrammarState {
  public:
    // Without a tokenizer, no token is forced.
    explicit State(const xgrammar::CompiledGrammar& grammar, const Tokenizer* tokenizer = nullptr)
        : matcher_(grammar), vocab_size_(grammar.GetTokenizerInfo().GetVocabSize()), tokenizer_(tokenizer) {}

    bool accept(const std::string& text) {
        has_mask_ = false;
        return matcher_.AcceptString(text);
    }
    bool accept(TokenId token) override {
        const Stopwatch stopwatch(time_left_);
        const bool is_accepted = matcher_.AcceptToken(token);
        if (!is_accepted) return false;
        ++num_accepted_;
        has_mask_ = false;
        if (time_left_ >= 0) time_left_ = std::min(time_left_ + earned_time, most_saved_time);
        return true;
    }
    void roll_back(std::int32_t count) override {
        if (count == 0) return;
        has_mask_ = false;
        matcher_.Rollback(count);
        num_accepted_ -= count_of(count);
        while (!forced_.empty() && forced_.back().begin > num_accepted_) forced_.pop_back();
    }
    // A run of forced tokens is found once, at its beginning, so that the tokens are the same wherever the
    // answer was taken back in between.
    std::optional<TokenId> forced_token() override {
        if (tokenizer_ == nullptr) return std::nullopt;
        if (forced_.empty() || num_accepted_ >= forced_.back().begin + forced_.back().tokens.size()) {
            std::vector<TokenId> tokens = find_forced();
            if (tokens.empty()) return std::nullopt;
            forced_.push_back({num_accepted_, std::move(tokens)});
        }
        return forced_.back().tokens[num_accepted_ - forced_.back().begin];
    }
    void fill_mask(std::span<std::uint32_t> mask) override {
        find_mask(mask.size());
        std::ranges::copy(mask_, mask.begin());
    }
    bool has_ended() const override { return matcher_.IsTerminated(); }

  private:
    struct ForcedRun {
        std::size_t begin;  // number of accepted tokens before the run
        std::vector<TokenId> tokens;
    };

    // Takes the processor time of its life away.
    class Stopwatch {
      public:
        explicit Stopwatch(double& time_left) : time_left_(time_left), begin_(cpu_seconds()) {}
        ~Stopwatch() { time_left_ -= cpu_seconds() - begin_; }
        Stopwatch(const Stopwatch&) = delete;
        Stopwatch& operator=(const Stopwatch&) = delete;

      private:
        double& time_left_;
        double begin_;
    };

    // Computes mask_ if it is not that of the current position. An answer can make a grammar slow which was
    // fast on random ways; then this throws, now and at every later call.
    void find_mask(std::size_t num_words) {
        if (time_left_ < 0) throw std::runtime_error(too_slow);
        if (has_mask_) return;
        mask_.resize(num_words);
        {
            const Stopwatch stopwatch(time_left_);
            auto size = static_cast<std::int64_t>(num_words);
            DLTensor tensor{.data = mask_.data(),
                            .device = {.device_type = kDLCPU, .device_id = 0},
                            .ndim = 1,
                            .dtype = xgrammar::GetBitmaskDLType(),
                            .shape = &size,
                            .strides = nullptr,
                            .byte_offset = 0};
            matcher_.FillNextTokenBitmask(&tensor);
        }
        has_mask_ = true;
        if (time_left_ < 0) throw std::runtime_error(too_slow);
    }

    // Returns the byte with which all tokens of mask_ begin, if there is one.
    std::optional<char> certain_byte() const {
        std::optional<char> byte;
        for (std::size_t word = 0; word < mask_.size(); ++word) {
            for (std::uint32_t bits = mask_[word]; bits != 0; bits &= bits - 1) {
                const auto token =
                    static_cast<TokenId>(word * mask_word_bits + count_of(std::countr_zero(bits)));
                const std::string_view text = tokenizer_->bytes_of(token);
                if (text.empty() || (byte && *byte != text.front())) return std::nullopt;
                byte = text.front();
            }
        }
        return byte;
    }

    // The library can tell the certain text too, but without a limit.
    std::string find_certain_text() {
        constexpr std::size_t longest = 256;
        std::string text;
        const auto take_back = [&] {
            if (text.empty()) return;
            matcher_.Rollback(static_cast<int>(text.size()));
            has_mask_ = false;
        };
        try {
            while (text.size() < longest) {
                find_mask(mask_words(vocab_size_));
                const auto byte = certain_byte();
                if (!byte || !matcher_.AcceptString(std::string(1, *byte))) break;
                has_mask_ = false;
                text += *byte;
            }
        } catch (...) {
            take_back();
            throw;
        }
        take_back();
        return text;
    }

    std::vector<TokenId> find_forced() {
        const std::string text = find_certain_text();
        constexpr std::size_t shortest = 2;  // bytes; one token at least is not forced
        if (text.size() < shortest) return {};
        auto tokens = tokenizer_->encode_continuation(text);
        if (tokens.empty()) return {};
        tokens.pop_back();
        std::string_view rest = text;
        for (const TokenId token : tokens) {
            const std::string_view bytes = tokenizer_->bytes_of(token);
            if (bytes.empty() || !rest.starts_with(bytes)) return {};
            rest.remove_prefix(bytes.size());
        }
        return tokens;
    }

    xgrammar::GrammarMatcher matcher_;
    std::int32_t vocab_size_;
    const Tokenizer* tokenizer_;
    std::size_t num_accepted_ = 0;
    std::vector<std::uint32_t> mask_;
    bool has_mask_ = false;            // mask_ is that of the current position
    double time_left_ = slowest_mask;  // of the processor; below 0: the grammar has become too slow
    std::vector<ForcedRun> forced_;    // in the order of the answer
};

class Compiled final : public Grammar {
  public:
    Compiled(xgrammar::CompiledGrammar grammar, const Tokenizer& tokenizer)
        : grammar_(std::move(grammar)), tokenizer_(tokenizer) {}

    std::unique_ptr<GrammarState> begin() const override {
        return std::make_unique<State>(grammar_, &tokenizer_);
    }
    std::int32_t vocab_size() const override { return grammar_.GetTokenizerInfo().GetVocabSize(); }
    std::size_t num_bytes() const override { return grammar_.MemorySizeBytes(); }

  private:
    xgrammar::CompiledGrammar grammar_;
    const Tokenizer& tokenizer_;
};

// Follows the grammar on some random ways. What is slow here would slow every step of the engine down, and a
// way that takes for ever would stop it.
std::optional<std::string> why_unusable(const xgrammar::CompiledGrammar& compiled,
                                        const std::vector<std::string>& triggers,
                                        const GrammarVocabulary& vocabulary) {
    constexpr int num_ways = 8;
    constexpr int max_tokens = 256;
    const auto vocab_size = static_cast<std::int32_t>(vocabulary.texts.size());
    std::vector<std::uint32_t> mask(mask_words(vocab_size));
    std::mt19937 random(1);
    double total = 0;
    int num_steps = 0;
    for (int way = 0; way < num_ways; ++way) {
        State state(compiled);
        if (!triggers.empty() && way % 2 == 1) state.accept(triggers[count_of(way) % triggers.size()]);
        for (int step = 0; step < max_tokens && !state.has_ended(); ++step) {
            const double begin = cpu_seconds();
            state.fill_mask(mask);
            const double time = cpu_seconds() - begin;
            total += time;
            ++num_steps;
            if (time > slowest_mask || (num_steps > max_tokens && total > slowest_mean * num_steps))
                return too_slow;
            auto token = static_cast<TokenId>(random() % vocabulary.texts.size());
            for (std::int32_t i = 0; i < vocab_size && !is_allowed(mask, token); ++i)
                token = (token + 1) % vocab_size;
            if (state.accept(token)) continue;
            if (step == 0) return "it allows no text at all";
            break;  // a dead end
        }
    }
    return std::nullopt;
}

}  // namespace

bool can_compile_grammars() {
    return true;
}

result<std::string> compile_grammar(const GrammarSource& source, const GrammarVocabulary& vocabulary) {
    try {
        std::string messages;
        warnings = &messages;
        const xgrammar::CompiledGrammar compiled = compile(source, tokenizer_info(vocabulary));
        warnings = nullptr;
        if (!messages.empty()) return Error{errc::invalid_request, messages};
        if (auto problem = why_unusable(compiled, triggers_of(source), vocabulary))
            return Error{errc::invalid_request, *problem};
        return compact_form(compiled);
    } catch (const std::bad_alloc&) {
        warnings = nullptr;
        throw;
    } catch (const std::exception& failure) {
        warnings = nullptr;
        return Error{errc::invalid_request, failure.what()};
    }
}

struct GrammarLoader::Impl {
    xgrammar::TokenizerInfo info;
    const Tokenizer& tokenizer;
};

GrammarLoader::GrammarLoader(const GrammarVocabulary& vocabulary, const Tokenizer& tokenizer)
    : impl_(new const Impl{tokenizer_info(vocabulary), tokenizer}) {}

GrammarLoader::~GrammarLoader() = default;

result<std::shared_ptr<const Grammar>> GrammarLoader::load(const std::string& compiled) const {
    auto grammar = from_compact_form(compiled, impl_->info);
    if (!grammar) return grammar.error();
    return std::shared_ptr<const Grammar>(
        std::make_shared<const Compiled>(*std::move(grammar), impl_->tokenizer));
}

}  // namespace solard
