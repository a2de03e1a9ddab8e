import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { begin, change, elapsed, end, isRunning } = await load("answer.ts");
const step = (cursor, text = "") => ({ kind: "step", lane: "left", responseId: "resp_1", cursor, text });
const progress = (fields) => ({ kind: "progress", lane: "left", measured: {}, ...fields });
const endEvent = (fields) => ({
    kind: "end",
    lane: "left",
    responseId: "resp_1",
    cursor: 9,
    outcome: "complete",
    stopReason: "end_of_text",
    error: "",
    measured: {},
    ...fields,
});
const error = (code) => ({ kind: "error", lane: "left", id: "id-1", status: 400, code, message: `It was ${code}.` });
const after = (...events) => events.reduce((answer, event) => change(answer, event, 1000), begin("id-1", 0));

test("an answer waits, reads its prompt, generates and completes with the server's figures", () => {
    let answer = change(begin("id-1", 1000), step(0), 1100);
    assert.deepEqual([answer.phase, answer.responseId, answer.cursor], ["waiting", "resp_1", 0]);
    answer = change(answer, progress({ queuePosition: 2 }), 1200);
    assert.deepEqual([answer.queuePosition, answer.promptRead], [2, undefined]);
    answer = change(answer, progress({ promptRead: 0.5 }), 1300);
    assert.deepEqual([answer.phase, answer.queuePosition, answer.promptRead], ["waiting", undefined, 0.5]);
    assert.equal(answer.measured.ttft, undefined);

    answer = change(answer, step(5, "Once"), 2000);
    answer = change(answer, step(9, " upon"), 2500);
    assert.deepEqual([answer.phase, answer.text, answer.measured.ttft], ["generating", "Once upon", 1000]);
    answer = change(answer, progress({ measured: { tokens: 5, tokensPerSecond: 8 } }), 2600);
    assert.deepEqual(answer.measured, { ttft: 1000, tokens: 5, tokensPerSecond: 8 });
    assert.equal(elapsed(answer, 3000), 2000);

    answer = change(answer, endEvent({ cursor: 12, measured: { tokens: 6, ttft: 900, total: 1900 } }), 3000);
    assert.deepEqual([answer.phase, answer.cursor, answer.stopReason], ["complete", 12, "end_of_text"]);
    assert.deepEqual(answer.measured, { tokens: 6, ttft: 900, total: 1900 });
    assert.ok(!isRunning(answer));
    assert.equal(elapsed(answer, 99999), 1900, "the server's time, which does not include a lost connection");
});

test("an event that was already received changes nothing", () => {
    const answer = after(step(5, "one"), step(5, "one"), step(3, "old"), step(6, " two"));
    assert.deepEqual([answer.text, answer.cursor], ["one two", 6]);
});

test("a stopped answer keeps its text and still receives its figures", () => {
    let answer = end(after(step(5, "half")), "stopped", 1500);
    answer = change(answer, step(6, " more"), 1600);
    answer = change(answer, progress({ queuePosition: 4 }), 1600);
    answer = change(answer, error("request_cancelled"), 1600);
    assert.deepEqual([answer.phase, answer.text, answer.error], ["stopped", "half", ""]);
    assert.equal(elapsed(answer, 9999), 1500);
    answer = change(answer, endEvent({ outcome: "cancelled", measured: { tokens: 3 } }), 1700);
    assert.deepEqual([answer.phase, answer.text, answer.measured.tokens], ["stopped", "half", 3]);
});

test("an answer that the server cancelled has failed and keeps its text", () => {
    const answer = after(step(5, "half"), endEvent({ outcome: "cancelled" }));
    assert.deepEqual([answer.phase, answer.text], ["failed", "half"]);
    assert.match(answer.error, /offline too long/);
});

test("a failed answer shows the server's message, a lost answer the page's own", () => {
    assert.equal(after(endEvent({ outcome: "failed", error: "It broke." })).error, "It broke.");
    assert.deepEqual([after(error("invalid_value")).phase, after(error("invalid_value")).error], ["failed", "It was invalid_value."]);
    for (const code of ["response_not_found", "response_expired"]) {
        assert.match(after(step(5, "half"), error(code)).error, /no longer has this answer/);
    }
});
