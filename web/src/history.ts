/** Keeps the chat in the tab's storage, which survives a reload. Each answer's text is stored together with its cursor,
    so that the server can send the rest. */

import { begin, type Answer, type Phase } from "./answer";
import { list, number, object, parseJson, text, type Json } from "./json";
import type { Measured } from "./responses";
import { load, save } from "./storage";

export interface StoredTurn {
    question: string;
    answers: Answer[];
}

// The key and the names of the stored members are the same as in earlier versions, so that a reload after an update
// loses no chat.
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

/** Returns usable turns for any stored text; leaves out every part that is not valid. */
export function parseTurns(stored: string | null): StoredTurn[] {
    return list(parseJson(stored))
        .map(object)
        .map((turn) => ({ question: text(turn.prompt), answers: list(turn.answers).flatMap(parseAnswer).slice(0, 2) }))
        .filter(({ question, answers }) => question !== "" && answers.length > 0);
}

export const loadTurns = (): StoredTurn[] => parseTurns(load("sessionStorage", KEY));
export const saveTurns = (turns: StoredTurn[]): void => 
    save("sessionStorage", KEY, JSON.stringify(turns.map(({ question, answers }) => ({ prompt: question, answers }))));
