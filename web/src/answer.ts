/** One answer's life as plain data. No clock and no I/O here: times are passed in, in milliseconds. */

import type { ChatDelta } from "./api";

export type Phase = "waiting" | "generating" | "complete" | "stopped" | "failed";

export interface Answer {
    phase: Phase;
    text: string;
    startedAt: number;
    /** First and latest text. */
    firstAt: number | undefined;
    lastAt: number | undefined;
    endedAt: number | undefined;
    /** Events with text: the best guess at tokens until the server tells its count. */
    pieces: number;
    completionTokens: number | undefined;
    finishReason: string | undefined;
    error: string;
}

export interface Figures {
    elapsed: number;
    ttft: number | undefined;
    tokens: number;
    tokensPerSecond: number | undefined;
    /** True while the number of tokens is our guess and not the server's count. */
    estimated: boolean;
}

export const isRunning = (answer: Answer): boolean => answer.phase === "waiting" || answer.phase === "generating";

export function begin(now: number): Answer {
    return {
        phase: "waiting",
        text: "",
        startedAt: now,
        firstAt: undefined,
        lastAt: undefined,
        endedAt: undefined,
        pieces: 0,
        completionTokens: undefined,
        finishReason: undefined,
        error: "",
    };
}

export function extend(answer: Answer, delta: ChatDelta, now: number): Answer {
    const next = {
        ...answer,
        finishReason: delta.finishReason ?? answer.finishReason,
        completionTokens: delta.completionTokens ?? answer.completionTokens,
    };
    if (delta.text === "") return next;
    return {
        ...next,
        phase: "generating",
        text: answer.text + delta.text,
        pieces: answer.pieces + 1,
        firstAt: answer.firstAt ?? now,
        lastAt: now,
    };
}

export function end(answer: Answer, phase: "complete" | "stopped" | "failed", now: number, error = ""): Answer {
    return { ...answer, phase, error, endedAt: now };
}

export function figures(answer: Answer, now: number): Figures {
    const { firstAt, lastAt, startedAt } = answer;
    const tokens = answer.completionTokens ?? answer.pieces;
    // The first token belongs to the TTFT; the rate is that of the ones after it. Over less than a tenth of a second it
    // would tell of the network's packets and not of the model.
    const span = firstAt !== undefined && lastAt !== undefined ? lastAt - firstAt : 0;
    return {
        elapsed: (answer.endedAt ?? now) - startedAt,
        ttft: firstAt === undefined ? undefined : firstAt - startedAt,
        tokens,
        tokensPerSecond: tokens > 1 && span >= 100 ? ((tokens - 1) * 1000) / span : undefined,
        estimated: answer.completionTokens === undefined,
    };
}
