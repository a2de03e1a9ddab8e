/** One answer's life as plain data. No clock and no I/O here: times are passed in, in milliseconds. */

import type { End, Measured, ServerEvent, Step } from "./responses";

export type Phase = "waiting" | "generating" | "complete" | "stopped" | "failed";

export interface Answer {
    /** Made here; names the request, also where it has to be sent twice. */
    id: string;
    /** The server's name for it; empty until it was told. */
    responseId: string;
    /** The number of the last event that is in it. */
    cursor: number;
    phase: Phase;
    text: string;
    startedAt: number;
    endedAt: number | undefined;
    queuePosition: number | undefined;
    promptRead: number | undefined;
    measured: Measured;
    stopReason: string;
    error: string;
}

const GONE =
    "The server no longer has this answer: the page was away for too long, the server restarted, or the API key is another.";
const CANCELLED = "The server stopped this answer: the page was away for too long, or another one stopped it.";

export const isRunning = (answer: Answer): boolean => answer.phase === "waiting" || answer.phase === "generating";

export function begin(id: string, now: number): Answer {
    return {
        id,
        responseId: "",
        cursor: -1,
        phase: "waiting",
        text: "",
        startedAt: now,
        endedAt: undefined,
        queuePosition: undefined,
        promptRead: undefined,
        measured: {},
        stopReason: "",
        error: "",
    };
}

export function change(answer: Answer, event: ServerEvent, now: number): Answer {
    if (event.kind === "end") return finish(answer, event, now);
    // One that was stopped here keeps the text that was seen.
    if (!isRunning(answer)) return answer;
    switch (event.kind) {
        case "step":
            return extend(answer, event, now);
        case "progress": {
            const { queuePosition, promptRead } = event;
            return { ...answer, queuePosition, promptRead, measured: { ...answer.measured, ...event.measured } };
        }
        case "error": {
            const gone = event.code === "response_not_found" || event.code === "response_expired";
            return end(answer, "failed", now, gone ? GONE : event.message);
        }
    }
}

function extend(answer: Answer, { responseId, cursor, text }: Step, now: number): Answer {
    if (cursor <= answer.cursor) return answer;
    const next = { ...answer, responseId, cursor };
    if (text === "") return next;
    const ttft = answer.measured.ttft ?? now - answer.startedAt;
    return { ...next, phase: "generating", text: answer.text + text, measured: { ...answer.measured, ttft } };
}

function finish(answer: Answer, event: End, now: number): Answer {
    const { outcome, cursor, stopReason, measured } = event;
    const known = { ...answer, cursor, stopReason, measured };
    if (!isRunning(answer)) return known;
    if (outcome === "complete") return end(known, "complete", now);
    return end(known, "failed", now, outcome === "cancelled" ? CANCELLED : event.error);
}

export function end(answer: Answer, phase: "complete" | "stopped" | "failed", now: number, error = ""): Answer {
    return { ...answer, phase, error, endedAt: now };
}

export function elapsed(answer: Answer, now: number): number {
    if (answer.endedAt === undefined) return now - answer.startedAt;
    return answer.measured.total ?? answer.endedAt - answer.startedAt;
}
