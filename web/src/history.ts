/** The conversation as the tab keeps it over a reload. A text and its cursor are kept together, so that the rest can follow. */

import { begin, type Answer, type Phase } from "./answer";
import { list, number, object, parseJson, text, type Json } from "./json";
import type { Measured } from "./responses";
import { load, save } from "./storage";

export interface KeptTurn {
    prompt: string;
    answers: Answer[];
}

const KEY = "solard.conversation";
const PHASES: readonly Phase[] = ["waiting", "generating", "complete", "stopped", "failed"];

function parseMeasured(found: Json): Measured {
    return {
        tokens: number(found.tokens),
        tokensPerSecond: number(found.tokensPerSecond),
        queue: number(found.queue),
        prefill: number(found.prefill),
        ttft: number(found.ttft),
        total: number(found.total),
        seed: number(found.seed),
    };
}

function parseAnswer(value: unknown): Answer[] {
    const found = object(value);
    const id = text(found.id);
    const phase = PHASES.find((known) => known === found.phase);
    if (!id || !phase) return [];
    const answer: Answer = {
        ...begin(id, number(found.startedAt) ?? 0),
        responseId: text(found.responseId),
        cursor: number(found.cursor) ?? -1,
        phase,
        text: text(found.text),
        endedAt: number(found.endedAt),
        measured: parseMeasured(object(found.measured)),
        stopReason: text(found.stopReason),
        error: text(found.error),
    };
    return [answer];
}

/** Any stored text gives usable turns; what makes no sense is left out. */
export function parseTurns(stored: string | null): KeptTurn[] {
    return list(parseJson(stored))
        .map(object)
        .map((turn) => ({ prompt: text(turn.prompt), answers: list(turn.answers).flatMap(parseAnswer).slice(0, 2) }))
        .filter(({ prompt, answers }) => prompt !== "" && answers.length > 0);
}

export const loadTurns = (): KeptTurn[] => parseTurns(load("sessionStorage", KEY));
export const saveTurns = (turns: KeptTurn[]): void => save("sessionStorage", KEY, JSON.stringify(turns));
