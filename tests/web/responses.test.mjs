import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { attach, cancel, create, parseEvent } = await load("responses.ts");
const parse = (event) => parseEvent(JSON.stringify(event));

test("a request names its lane and its id, and is resumable", () => {
    const request = { model: "m", input: [{ role: "user", content: "hi" }], temperature: 0, max_output_tokens: 5 };
    assert.deepEqual(create("left", "id-1", request), {
        type: "response.create",
        stream_id: "left",
        event_id: "id-1",
        ...request,
        solar: { progress: true, resumable: true, max_delta_hz: 30, idempotency_key: "id-1" },
    });
    assert.deepEqual(attach("left", "id-1", "resp_1", 7), {
        type: "solar:attach",
        stream_id: "left",
        event_id: "id-1",
        response_id: "resp_1",
        starting_after: 7,
    });
    assert.deepEqual(cancel("left"), { type: "response.cancel", stream_id: "left", queued: true });
});

test("numbered events are steps, and only deltas have text", () => {
    const common = { stream_id: "left", response_id: "resp_1" };
    const step = { kind: "step", lane: "left", responseId: "resp_1" };
    const delta = { ...common, type: "response.output_text.delta", sequence_number: 5, delta: "안녕" };
    assert.deepEqual(parse(delta), { ...step, cursor: 5, text: "안녕" });
    for (const type of ["response.created", "response.output_text.done", "keepalive", "response.of_the_future"]) {
        assert.deepEqual(parse({ ...common, type, sequence_number: 0, text: "x" }), { ...step, cursor: 0, text: "" }, type);
    }
});

test("progress has the queue position, then the share of the prompt, then the speed", () => {
    const progress = (fields) => parse({ type: "solar:progress", sequence_number: 1, stream_id: "a", ...fields });
    const queued = progress({ phase: "queued", queue_position: 3, prompt_tokens_done: 0, prompt_tokens: 10 });
    assert.deepEqual([queued.kind, queued.queuePosition, queued.promptRead], ["progress", 3, undefined]);
    const prefill = progress({ phase: "prefill", queue_position: 0, prompt_tokens_done: 4, prompt_tokens: 10 });
    assert.deepEqual([prefill.queuePosition, prefill.promptRead], [undefined, 0.4]);
    const decode = progress({ phase: "decode", output_tokens: 12, tokens_per_s: 42.5 });
    assert.deepEqual([decode.queuePosition, decode.promptRead], [undefined, undefined]);
    assert.deepEqual(decode.measured, { tokens: 12, tokensPerSecond: 42.5 });
    assert.equal(progress({ phase: "decode", tokens_per_s: 0 }).measured.tokensPerSecond, undefined);
});

test("an end event has the outcome and the server's figures", () => {
    const end = (type, response) =>
        parse({ type, sequence_number: 9, stream_id: "a", response_id: "resp_1", response });
    const solar = {
        queue_ms: 1,
        prefill_ms: 2,
        ttft_ms: 3,
        total_ms: 4,
        decode_tokens_per_s: 50,
        stop_reason: "end_of_text",
        seed: 7,
    };
    assert.deepEqual(end("response.completed", { status: "completed", usage: { output_tokens: 6 }, solar }), {
        kind: "end",
        lane: "a",
        responseId: "resp_1",
        cursor: 9,
        outcome: "complete",
        stopReason: "end_of_text",
        error: "",
        measured: { tokens: 6, tokensPerSecond: 50, queue: 1, prefill: 2, ttft: 3, total: 4, seed: 7 },
    });
    assert.equal(end("response.incomplete", { status: "incomplete" }).outcome, "complete");
    assert.equal(end("response.incomplete", { status: "cancelled" }).outcome, "cancelled");
    const failed = end("response.failed", { status: "failed", error: { code: "server_error", message: "It broke." } });
    assert.deepEqual([failed.outcome, failed.error], ["failed", "It broke."]);
    assert.match(end("response.failed", { status: "failed" }).error, /reported an error/);
});

test("an error has its lane, message and code", () => {
    const error = { code: "lane_busy", message: "The lane is busy.", param: null };
    const event = parse({ type: "error", status: 409, ...error, error, stream_id: "a", event_id: "id-1" });
    assert.deepEqual(event, {
        kind: "error",
        lane: "a",
        id: "id-1",
        status: 409,
        code: "lane_busy",
        message: "The lane is busy.",
    });
    assert.match(parse({ type: "error" }).message, /reported an error/);
});

test("a message that is no event of an answer is ignored", () => {
    const strange = ["{", "null", "7", "[]", '"x"', "{}", '{"type":7,"sequence_number":"1"}', undefined, new Blob([])];
    for (const data of strange) assert.equal(parseEvent(data), undefined);
    assert.equal(parse({ type: "solar:session", model: "m" }), undefined);
    assert.equal(parse({ type: "solar:pong", t: 1 }), undefined);
    const bare = { kind: "end", lane: "", responseId: "", cursor: 1, outcome: "complete", stopReason: "", error: "" };
    const { measured, ...rest } = parse({ type: "response.completed", sequence_number: 1, response: 7 });
    assert.deepEqual(rest, bare);
    assert.ok(Object.values(measured).every((value) => value === undefined));
});
