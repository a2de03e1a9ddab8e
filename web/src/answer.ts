/** An answer as plain data, and how events change it. Nothing here reads a clock or does I/O: the caller passes the time in
    milliseconds. */

import type { End, Measured, ServerEvent, Step } from "./responses";

export type Phase = "waiting" | "generating" | "complete" | "stopped" | "failed";

export interface Answer {
    /** The request's id, made by the page. It stays the same if the request has to be sent twice. */
    id: string;
    /** The server's id of the response; empty until the first event names it. */
    responseId: string;
    /** The sequence number of the last event that this answer includes. */
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
    "The server no longer has this answer: the page was offline too long, the server was restarted, or the API key has changed.";
const CANCELLED = "The server stopped this answer: the page was offline too long, or another page stopped it.";

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
    // An answer that has ended, for example because the user stopped it, keeps its text.
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
