import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { begin, end } = await load("answer.ts");
const { ordinal } = await load("format.ts");
const { phaseLabel, spoken } = await load("words.ts");

const fine = { connected: true, starting: false };
const waiting = begin("id-1", 0);
const generating = { ...waiting, responseId: "resp_1", phase: "generating" };
const complete = end(generating, "complete", 1);

test("the label says what the answer waits for", () => {
    const label = (fields, circumstances) => phaseLabel({ ...waiting, ...fields }, { ...fine, ...circumstances });
    assert.equal(label({}), "Waiting");
    assert.equal(label({ queuePosition: 3 }), "Waiting, 3rd in line");
    assert.equal(label({ promptRead: 0.45 }), "Reading the prompt 45 %");
    assert.equal(label({ phase: "generating", promptRead: 1 }), "Generating");
    assert.equal(label({}, { starting: true }), "Model is loading");
    assert.equal(label({}, { connected: false }), "Connecting");
    assert.equal(label({ responseId: "resp_1" }, { connected: false }), "Connecting again");
    assert.equal(label({ phase: "failed" }, { connected: false }), "Failed");
    assert.equal(label({ phase: "complete", stopReason: "max_output_tokens" }), "Max tokens reached");
    assert.equal(label({ phase: "complete", stopReason: "end_of_text" }), "Complete");
});

test("places in line are counted as in English", () => {
    assert.deepEqual([1, 2, 3, 4, 11, 12, 13, 21, 102].map(ordinal), ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd"]);
});

test("a screen reader hears phases, and neither tokens nor steps in the line", () => {
    assert.equal(spoken([], fine), "");
    assert.equal(spoken([waiting], fine), "Waiting for the answer");
    assert.equal(spoken([{ ...waiting, queuePosition: 3 }], fine), "Waiting for the answer");
    assert.equal(spoken([generating], fine), "Generating the answer");
    assert.equal(spoken([generating], { ...fine, connected: false }), "Connecting again");
    assert.equal(spoken([waiting], { ...fine, starting: true }), "The model is loading");
    assert.equal(spoken([end(waiting, "stopped", 1)], fine), "Stopped");
    assert.equal(spoken([end(waiting, "failed", 1, "why")], fine), "", "the alert says it");
});

test("two answers are told apart once they differ", () => {
    assert.equal(spoken([generating, generating], fine), "Generating the answer");
    assert.equal(spoken([complete, generating], fine), "Answer 1: Answer complete. Answer 2: Generating the answer.");
    assert.equal(spoken([end(waiting, "failed", 1, "why"), complete], fine), "Answer 2: Answer complete.");
    assert.equal(spoken([complete, complete], fine), "Answer complete");
});
