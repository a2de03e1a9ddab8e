"""Writes copies of engine sources with bugs that a test switches on one at a time: plant_bugs.py SOURCE_DIR OUTPUT_DIR.

Each bug names a piece of text that stands exactly once in its file. In the copy that text becomes a choice between itself
and its broken form, made at run time by solard::planted(number). So the mutants follow the sources: a piece that is no
longer there stops the build. Also written: planted_bugs.hpp, with the names."""
import pathlib
import sys

# name, file, "statement" or "expression", the right text, the broken text
BUGS = [
    ("skipped_free", "scheduling/block_tables.cpp", "statement",
     "for (const BlockId block : std::views::reverse(sequence.block_table)) release(block);",
     "for (const BlockId block : std::views::reverse(sequence.block_table) | std::views::drop(1)) release(block);"),
    ("doubled_token_on_resume", "scheduling/admission.cpp", "statement",
     "sequence->prefilling = true;",
     "sequence->prefilling = true; if (sequence->num_preemptions > 0) "
     "sequence->token_ids.push_back(sequence->token_ids.back());"),
    ("dropped_cancel", "scheduling/scheduler.cpp", "expression",
     "sequence.request.id == id", "(sequence.request.id == id && sequence.block_table.empty())"),
    ("slot_off_by_one", "scheduling/batch_builder.cpp", "expression",
     "position % kv_block_size", "(position + 1) % kv_block_size"),
    ("unchained_prefix_hash", "scheduling/block_tables.cpp", "expression",
     "hashes.empty()", "true"),
    ("salt_ignored", "scheduling/block_tables.cpp", "expression",
     "sequence.request.cache_salt", "std::uint64_t{0}"),
    ("turn_never_passes", "scheduling/admission.cpp", "statement",
     "begin = index + 1;", "begin = index;"),
    ("newest_first", "scheduling/fair_share.cpp", "expression",
     "std::ranges::upper_bound(waiting, sequence, served_before)", "waiting.begin()"),
    ("copy_on_write_skipped", "scheduling/block_tables.cpp", "expression",
     "pool_.num_references(written) > 1", "false"),
    ("copy_backwards", "scheduling/batch_builder.cpp", "statement",
     "batch.block_copies.push_back({sequence.copied_from, sequence.block_table[copied]});",
     "batch.block_copies.push_back({sequence.block_table[copied], sequence.copied_from});"),
    ("every_draft_believed", "scheduling/speculation.cpp", "expression",
     "sequence.token_ids[place] == drawn.token", "true"),
    ("rejected_draft_keeps_its_block", "scheduling/scheduler.cpp", "statement",
     "tables_.trim(sequence);", ";"),
    ("draft_computed_for_the_wrong_place", "scheduling/batch_builder.cpp", "expression",
     "sequence.num_tokens() + draft", "sequence.num_tokens()"),
    ("preempts_the_oldest", "scheduling/admission.cpp", "expression",
     "oldest + 1", "oldest"),
    ("budget_not_counted", "scheduling/scheduler.cpp", "statement",
     "state_.tokens_left -= granted;", ";"),
    ("deadline_ignored", "scheduling/scheduler.cpp", "expression",
     "now >= sequence.request.request_deadline", "false"),
    ("queue_deadline_of_the_preempted", "scheduling/scheduler.cpp", "expression",
     "sequence.num_preemptions == 0", "true"),
    ("forks_draw_alike", "scheduling/batch_builder.cpp", "expression",
     "append_row(batch, *fork, first_row, sequence.num_tokens())",
     "append_row(batch, sequence, first_row, sequence.num_tokens())"),
    ("fork_without_reference", "scheduling/block_tables.cpp", "statement",
     "for (const BlockId block : fork.block_table) pool_.retain(block);", ";"),
    ("fork_reads_the_wrong_row", "scheduling/scheduler.cpp", "expression",
     "count_of(++row)", "count_of(row)"),
    ("min_tokens_off_by_one", "scheduling/sequence.cpp", "expression",
     "num_generated_tokens() > request.min_tokens", "num_generated_tokens() >= request.min_tokens"),
    ("token_after_the_stop", "engine/engine_core.cpp", "expression",
     "i < advance.num_tokens && event.finish == FinishReason::none", "i < advance.num_tokens"),
    ("whole_prompt_taken_from_the_cache", "scheduling/block_tables.cpp", "expression",
     "(sequence.num_tokens() - 1) / kv_block_size", "sequence.num_tokens() / kv_block_size"),
    ("evicted_content_stays_findable", "scheduling/block_pool.cpp", "expression",
     "at(block).registered", "false"),
    ("slots_not_counted", "scheduling/admission.cpp", "expression",
     "need.slots <= slots", "true"),
    ("newcomers_make_no_room", "scheduling/admission.cpp", "statement",
     "if (slots > 0 || blocks > freed) return false;", "return false;"),
    ("nobody_is_above_its_share", "scheduling/admission.cpp", "expression",
     "shares.excess(*candidate.principal)", "std::int64_t{0}"),
    ("nobody_is_below_its_share", "scheduling/admission.cpp", "expression",
     "shares.excess(principal) < 0", "false"),
    ("everybody_is_protected", "scheduling/admission.cpp", "expression",
     "sequence.num_preemptions < max_preemptions", "false"),
    ("prompt_tokens_not_charged", "scheduling/scheduler.cpp", "statement",
     "principal.deficit -= granted;", ";"),
    ("end_without_event", "scheduling/scheduler.cpp", "statement",
     "for (SequencePtr& fork : forks) end(std::move(fork), reason, error);", ";"),
]


def main() -> None:
    source, output = map(pathlib.Path, sys.argv[1:])
    texts: dict[str, str] = {}
    for number, (name, file, kind, right, broken) in enumerate(BUGS, start=1):
        text = texts.setdefault(file, (source / "inference" / file).read_text())
        if text.count(right) != 1:
            sys.exit(f"{file}: the text of bug '{name}' stands there {text.count(right)} times: {right}")
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
