"""plant_bugs.py SOURCE_DIR OUTPUT_DIR: writes copies of engine sources with bugs that a test enables one at a time.

Each bug names a piece of text which occurs exactly once in its file. In the copy, solard::planted(number) chooses at run
time between that text and its broken form. If a change of the sources removes the text, the build stops, so that the bugs
stay up to date. The script also writes planted_bugs.hpp, which holds the names of the bugs."""
import pathlib
import sys

# Each tuple consists of the name of the bug, its file, "statement" or "expression", the right text and the broken text.
BUGS = [
    ("one_block_is_not_freed", "scheduling/block_tables.cpp", "statement",
     "for (const BlockId block : std::views::reverse(sequence.block_table)) release(block);",
     "for (const BlockId block : std::views::reverse(sequence.block_table) | std::views::drop(1)) release(block);"),
    ("last_token_doubled_after_preemption", "scheduling/admission.cpp", "statement",
     "sequence->prefilling = true;",
     "sequence->prefilling = true; if (sequence->num_preemptions > 0) "
     "sequence->token_ids.push_back(sequence->token_ids.back());"),
    ("running_request_is_not_cancelled", "scheduling/scheduler.cpp", "expression",
     "sequence.request.id == id", "(sequence.request.id == id && sequence.block_table.empty())"),
    ("slot_is_off_by_one", "scheduling/batch_builder.cpp", "expression",
     "position % kv_block_size", "(position + 1) % kv_block_size"),
    ("prefix_hash_ignores_earlier_blocks", "scheduling/block_tables.cpp", "expression",
     "hashes.empty()", "true"),
    ("cache_salt_is_ignored", "scheduling/block_tables.cpp", "expression",
     "sequence.request.cache_salt", "std::uint64_t{0}"),
    ("turn_does_not_move_on", "scheduling/admission.cpp", "statement",
     "begin = index + 1;", "begin = index;"),
    ("newest_request_is_first", "scheduling/fair_share.cpp", "expression",
     "std::ranges::upper_bound(waiting, sequence, served_before)", "waiting.begin()"),
    ("shared_block_is_not_copied", "scheduling/block_tables.cpp", "expression",
     "pool_.num_references(written) > 1", "false"),
    ("block_copy_is_reversed", "scheduling/batch_builder.cpp", "statement",
     "batch.block_copies.push_back({sequence.copied_from, sequence.block_table[copied]});",
     "batch.block_copies.push_back({sequence.block_table[copied], sequence.copied_from});"),
    ("every_draft_is_accepted", "scheduling/speculation.cpp", "expression",
     "sequence.token_ids[place] == drawn.token", "true"),
    ("block_of_rejected_draft_is_kept", "scheduling/scheduler.cpp", "statement",
     "tables_.trim(sequence);", ";"),
    ("draft_has_wrong_position", "scheduling/batch_builder.cpp", "expression",
     "sequence.num_tokens() + draft", "sequence.num_tokens()"),
    ("oldest_sequence_is_preempted", "scheduling/admission.cpp", "expression",
     "oldest + 1", "oldest"),
    ("step_budget_is_ignored", "scheduling/scheduler.cpp", "statement",
     "state_.tokens_left -= granted;", ";"),
    ("request_deadline_is_ignored", "scheduling/scheduler.cpp", "expression",
     "now >= sequence.request.request_deadline", "false"),
    ("queue_deadline_ends_preempted_sequences", "scheduling/scheduler.cpp", "expression",
     "sequence.num_preemptions == 0", "true"),
    ("forks_draw_the_same_tokens", "scheduling/batch_builder.cpp", "expression",
     "append_row(batch, *fork, first_row, sequence.num_tokens())",
     "append_row(batch, sequence, first_row, sequence.num_tokens())"),
    ("fork_does_not_retain_blocks", "scheduling/block_tables.cpp", "statement",
     "for (const BlockId block : fork.block_table) pool_.retain(block);", ";"),
    ("fork_reads_the_wrong_row", "scheduling/scheduler.cpp", "expression",
     "count_of(++row)", "count_of(row)"),
    ("min_tokens_is_off_by_one", "scheduling/sequence.cpp", "expression",
     "num_generated_tokens() > request.min_tokens", "num_generated_tokens() >= request.min_tokens"),
    ("tokens_follow_the_stop", "engine/engine_core.cpp", "expression",
     "i < advance.num_tokens && event.finish == FinishReason::none", "i < advance.num_tokens"),
    ("cache_covers_the_whole_prompt", "scheduling/block_tables.cpp", "expression",
     "(sequence.num_tokens() - 1) / kv_block_size", "sequence.num_tokens() / kv_block_size"),
    ("evicted_block_can_still_be_found", "scheduling/block_pool.cpp", "expression",
     "at(block).registered", "false"),
    ("free_slots_are_ignored", "scheduling/admission.cpp", "expression",
     "need.slots <= slots", "true"),
    ("no_victims_for_new_requests", "scheduling/admission.cpp", "statement",
     "if (slots > 0 || blocks > freed) return false;", "return false;"),
    ("no_principal_is_above_its_share", "scheduling/admission.cpp", "expression",
     "shares.excess(*candidate.principal)", "std::int64_t{0}"),
    ("no_principal_is_below_its_share", "scheduling/admission.cpp", "expression",
     "shares.excess(principal) < 0", "false"),
    ("every_sequence_is_protected", "scheduling/admission.cpp", "expression",
     "sequence.num_preemptions < max_preemptions", "false"),
    ("prompt_tokens_are_not_charged", "scheduling/scheduler.cpp", "statement",
     "principal.deficit -= granted;", ";"),
    ("prompt_token_is_scored_in_its_own_row", "scheduling/batch_builder.cpp", "statement",
     "append_scored_token(batch, sequence, next);",
     "append_scored_token(batch, sequence, position);"),
    ("chunk_begins_without_a_score", "scheduling/scheduler.cpp", "expression",
     "sequence.num_computed_tokens + 1", "sequence.num_computed_tokens + 2"),
    ("prompt_is_scored_again_after_a_preemption", "scheduling/scheduler.cpp", "statement",
     "sequence.num_scored_tokens = std::max(sequence.num_scored_tokens, num_scored);", ";"),
    ("scored_prompt_reads_the_cache", "scheduling/block_tables.cpp", "statement",
     "if (!hash_key_ || sequence.scores_prompt()) return {};", "if (!hash_key_) return {};"),
    ("every_choice_scores_the_prompt", "scheduling/scheduler.cpp", "statement",
     "other.num_prompt_logprobs = -1;", ";"),
    ("scores_that_are_not_finite_are_reported", "scheduling/scheduler.cpp", "expression",
     "results.scores.at(count_of(sequence.first_score + i)).rank == 0", "false"),
    ("scores_of_the_first_sequence_are_reported", "engine/engine_core.cpp", "expression",
     "std::ptrdiff_t{advance.first_score}", "std::ptrdiff_t{0}"),
    ("scores_of_a_chunk_are_not_reported", "scheduling/scheduler.cpp", "expression",
     "samples || advance.num_scores > 0", "samples"),
    ("request_for_no_tokens_gets_one", "scheduling/scheduler.cpp", "expression",
     "sequence.request.max_tokens > 0", "true"),
    ("request_for_no_tokens_does_not_end", "engine/engine_core.cpp", "expression",
     "sequence.num_uncomputed_tokens() == 0", "false"),
    ("forks_end_without_event", "scheduling/scheduler.cpp", "statement",
     "for (SequencePtr& fork : forks) end(std::move(fork), reason, error);", ";"),
]


def main() -> None:
    source, output = map(pathlib.Path, sys.argv[1:])
    texts: dict[str, str] = {}
    for number, (name, file, kind, right, broken) in enumerate(BUGS, start=1):
        text = texts.setdefault(file, (source / "inference" / file).read_text())
        if text.count(right) != 1:
            sys.exit(f"{file}: the text of bug '{name}' must occur once, but occurs {text.count(right)} times: {right}")
        if kind == "expression":
            choice = f"(solard::planted({number}) ? {broken} : {right})"
        else:
            choice = f"if (solard::planted({number})) {{ {broken} }} else {{ {right} }}"
        texts[file] = text.replace(right, choice)
    output.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        (output / pathlib.Path(file).name).write_text('#include "planted_bugs.hpp"\n' + text)
    names = ", ".join(f'"{bug[0]}"' for bug in BUGS)
    (output / "planted_bugs.hpp").write_text(f"""#pragma once
#include <array>
#include <string_view>
namespace solard {{
inline constexpr auto planted_bug_names = std::to_array<std::string_view>({{{names}}});
inline int planted_bug = 0;  // counts from 1; 0 = none
inline bool planted(int number) {{ return planted_bug == number; }}
}}  // namespace solard
""")


main()
