#include "inference/grammar/compiler.hpp"

#include <xgrammar/xgrammar.h>

#include <cstdlib>
#include <exception>
#include <new>
#include <optional>
#include <variant>

namespace solard {
namespace {

xgrammar::TokenizerInfo tokenizer_info(const GrammarVocabulary& vocabulary) {
    return {vocabulary.texts, xgrammar::VocabType::RAW, static_cast<int>(vocabulary.texts.size()),
            std::vector<std::int32_t>(vocabulary.end_tokens.begin(), vocabulary.end_tokens.end())};
}

xgrammar::CompiledGrammar compile(const GrammarSource& source, const xgrammar::TokenizerInfo& info) {
    xgrammar::GrammarCompiler compiler(info, 1, false);
    // One form of white space only, so that much of an answer follows from its schema. A model that is free
    // to choose may also go on with white space for ever.
    constexpr bool any_whitespace = false;
    switch (source.kind) {
        case GrammarSource::Kind::json_object:
            return compiler.CompileJSONSchema(R"({"type":"object"})", any_whitespace, std::nullopt,
                                              std::nullopt, false);
        case GrammarSource::Kind::json_schema:
            return compiler.CompileJSONSchema(source.text, any_whitespace);
        case GrammarSource::Kind::regex:
            return compiler.CompileRegex(source.text);
        case GrammarSource::Kind::ebnf:
            return compiler.CompileGrammar(source.text);
    }
    std::abort();
}

class State final : public GrammarState {
  public:
    explicit State(const xgrammar::CompiledGrammar& grammar) : matcher_(grammar) {}

    bool accept(TokenId token) override { return matcher_.AcceptToken(token); }
    void roll_back(std::int32_t count) override { matcher_.Rollback(count); }
    void fill_mask(std::span<std::uint32_t> mask) override {
        auto size = static_cast<std::int64_t>(mask.size());
        DLTensor tensor{.data = mask.data(),
                        .device = {.device_type = kDLCPU, .device_id = 0},
                        .ndim = 1,
                        .dtype = xgrammar::GetBitmaskDLType(),
                        .shape = &size,
                        .strides = nullptr,
                        .byte_offset = 0};
        matcher_.FillNextTokenBitmask(&tensor);
    }
    bool has_ended() const override { return matcher_.IsTerminated(); }

  private:
    xgrammar::GrammarMatcher matcher_;
};

class Compiled final : public Grammar {
  public:
    explicit Compiled(xgrammar::CompiledGrammar grammar) : grammar_(std::move(grammar)) {}

    std::unique_ptr<GrammarState> begin() const override { return std::make_unique<State>(grammar_); }
    std::int32_t vocab_size() const override { return grammar_.GetTokenizerInfo().GetVocabSize(); }
    std::size_t num_bytes() const override { return grammar_.MemorySizeBytes(); }

  private:
    xgrammar::CompiledGrammar grammar_;
};

}  // namespace

bool can_compile_grammars() {
    return true;
}

result<std::string> compile_grammar(const GrammarSource& source, const GrammarVocabulary& vocabulary) {
    try {
        return compile(source, tokenizer_info(vocabulary)).SerializeJSON();
    } catch (const std::bad_alloc&) {
        throw;
    } catch (const std::exception& failure) {
        return Error{errc::invalid_request, failure.what()};
    }
}

struct GrammarLoader::Impl {
    xgrammar::TokenizerInfo info;
};

GrammarLoader::GrammarLoader(const GrammarVocabulary& vocabulary)
    : impl_(std::make_unique<const Impl>(tokenizer_info(vocabulary))) {}

GrammarLoader::~GrammarLoader() = default;

result<std::shared_ptr<const Grammar>> GrammarLoader::load(const std::string& compiled) const {
    auto loaded = xgrammar::CompiledGrammar::DeserializeJSON(compiled, impl_->info);
    if (auto* grammar = std::get_if<xgrammar::CompiledGrammar>(&loaded))
        return std::shared_ptr<const Grammar>(std::make_shared<const Compiled>(std::move(*grammar)));
    const auto& failure = std::get<xgrammar::SerializationError>(loaded);
    return Error{errc::backend_failed,
                 std::visit([](const auto& error) { return std::string(error.what()); }, failure)};
}

}  // namespace solard
