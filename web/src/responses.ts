/** The Responses protocol as this page uses it: the messages that it sends, and the fields that it reads from events. */

import { number, object, parseJson, text, type Json } from "./json";

export interface Message {
    role: "user" | "assistant";
    content: string;
}

export interface ResponseRequest {
    model: string;
    instructions?: string;
    input: Message[];
    temperature: number;
    max_output_tokens: number;
}

/** The server's measurements of an answer; times in milliseconds. */
export interface Measured {
    tokens?: number | undefined;
    tokensPerSecond?: number | undefined;
    queue?: number | undefined;
    prefill?: number | undefined;
    ttft?: number | undefined;
    total?: number | undefined;
    seed?: number | undefined;
}

interface OfResponse {
    lane: string;
    responseId: string;
    cursor: number;
}

/** A numbered event. Only events of type response.output_text.delta have text. */
export interface Step extends OfResponse {
    kind: "step";
    text: string;
}

export interface Progress {
    kind: "progress";
    lane: string;
    /** Set only while the request waits. The request with position 1 runs next. */
    queuePosition: number | undefined;
    /** The share of the prompt that the model has read; set only while it reads the prompt. */
    promptRead: number | undefined;
    measured: Measured;
}

export interface End extends OfResponse {
    kind: "end";
    outcome: "complete" | "cancelled" | "failed";
    stopReason: string;
    error: string;
    measured: Measured;
}

export interface RequestError {
    kind: "error";
    lane: string;
    /** The id of the message that caused the error. */
    id: string;
    status: number;
    code: string;
    message: string;
}

export type ServerEvent = Step | Progress | End | RequestError;

/** The id is also the idempotency key: a second request with the same id receives the answer of the first. */
export const create = (lane: string, id: string, request: ResponseRequest): Json => ({
    type: "response.create",
    stream_id: lane,
    event_id: id,
    ...request,
    solar: { progress: true, resumable: true, max_delta_hz: 30, idempotency_key: id },
});

export const attach = (lane: string, id: string, responseId: string, cursor: number): Json => ({
    type: "solar:attach",
    stream_id: lane,
    event_id: id,
    response_id: responseId,
    starting_after: cursor,
});

/** Cancels every request on the lane, including queued requests: a request may still wait behind an answer that the
    user has stopped. */
export const cancel = (lane: string): Json => ({ type: "response.cancel", stream_id: lane, queued: true });

const END_TYPES = ["response.completed", "response.incomplete", "response.failed"];

/** Returns undefined for a message that is neither an error nor an event of an answer. */
export function parseEvent(data: unknown): ServerEvent | undefined {
    const body = object(parseJson(text(data)));
    const type = text(body.type);
    const lane = text(body.stream_id);
    if (type === "error") return parseRequestError(body, lane);
    const cursor = number(body.sequence_number);
    if (cursor === undefined) return undefined;
    if (type === "solar:progress") return parseProgress(body, lane);
    const common = { lane, responseId: text(body.response_id), cursor };
    if (END_TYPES.includes(type)) return { kind: "end", ...common, ...parseEnd(object(body.response)) };
    return { kind: "step", ...common, text: type === "response.output_text.delta" ? text(body.delta) : "" };
}

function parseRequestError(body: Json, lane: string): RequestError {
    return {
        kind: "error",
        lane,
        id: text(body.event_id),
        status: number(body.status) ?? 0,
        code: text(body.code),
        message: text(body.message) || "The server reported an error without a message.",
    };
}

function parseProgress(body: Json, lane: string): Progress {
    const total = number(body.prompt_tokens);
    return {
        kind: "progress",
        lane,
        queuePosition: body.phase === "queued" ? number(body.queue_position) : undefined,
        promptRead: body.phase === "prefill" && total ? (number(body.prompt_tokens_done) ?? 0) / total : undefined,
        measured: {
            tokens: number(body.output_tokens),
            tokensPerSecond: number(body.tokens_per_s) || undefined, // 0 means: not known yet
        },
    };
}

function parseEnd(response: Json): Omit<End, "kind" | keyof OfResponse> {
    const solar = object(response.solar);
    const failed = response.status === "failed";
    return {
        outcome: failed ? "failed" : response.status === "cancelled" ? "cancelled" : "complete",
        stopReason: text(solar.stop_reason),
        error: failed ? text(object(response.error).message) || "The server reported an error without a message." : "",
        measured: {
            tokens: number(object(response.usage).output_tokens),
            tokensPerSecond: number(solar.decode_tokens_per_s),
            queue: number(solar.queue_ms),
            prefill: number(solar.prefill_ms),
            ttft: number(solar.ttft_ms),
            total: number(solar.total_ms),
            seed: number(solar.seed),
        },
    };
}
