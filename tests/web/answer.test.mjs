import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { begin, end, extend, figures, isRunning } = await load("answer.ts");
const delta = (fields) => ({ text: "", finishReason: undefined, completionTokens: undefined, ...fields });

test("an answer waits, generates and completes with the server's figures", () => {
    let answer = begin(1000);
    assert.equal(answer.phase, "waiting");
    assert.ok(isRunning(answer));
    assert.deepEqual(figures(answer, 1500), {
        elapsed: 500,
        ttft: undefined,
        tokens: 0,
        tokensPerSecond: undefined,
        estimated: true,
    });

    answer = extend(answer, delta({ text: "Once" }), 2000);
    answer = extend(answer, delta({ text: " upon" }), 4000);
    assert.equal(answer.phase, "generating");
    assert.equal(figures(answer, 5000).tokens, 2);

    answer = extend(answer, delta({ finishReason: "stop" }), 4100);
    answer = extend(answer, delta({ completionTokens: 11 }), 4200);
    answer = end(answer, "complete", 4300);
    assert.equal(answer.text, "Once upon");
    assert.equal(answer.finishReason, "stop");
    assert.ok(!isRunning(answer));
    // Ten tokens after the first one, in two seconds; the clock no longer matters.
    const final = { elapsed: 3300, ttft: 1000, tokens: 11, tokensPerSecond: 5, estimated: false };
    assert.deepEqual(figures(answer, 99999), final);
});

test("a delta without text does not end the waiting", () => {
    const answer = extend(begin(0), delta({}), 10);
    assert.equal(answer.phase, "waiting");
    assert.equal(figures(answer, 20).ttft, undefined);
});

test("a single token has no rate", () => {
    const answer = extend(begin(0), delta({ text: "x", completionTokens: 1 }), 10);
    assert.equal(figures(answer, 20).tokensPerSecond, undefined);
});

test("a stopped and a failed answer keep their text", () => {
    const answer = extend(begin(0), delta({ text: "half" }), 10);
    assert.deepEqual([end(answer, "stopped", 20).text, end(answer, "failed", 20, "why").error], ["half", "why"]);
});
