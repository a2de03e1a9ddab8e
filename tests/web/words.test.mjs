import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { begin, end } = await load("answer.ts");
const { ordinal } = await load("format.ts");
const { announcementFor, phaseLabel } = await load("words.ts");

const fine = { connected: true, starting: false };
const waiting = begin("id-1", 0);
const generating = { ...waiting, responseId: "resp_1", phase: "generating" };
const complete = end(generating, "complete", 1);

test("the label names the phase and what the answer waits for", () => {
    const label = (fields, circumstances) => phaseLabel({ ...waiting, ...fields }, { ...fine, ...circumstances });
    assert.equal(label({}), "Waiting");
    assert.equal(label({ queuePosition: 3 }), "Waiting, 3rd in the queue");
    assert.equal(label({ promptRead: 0.45 }), "Reading the prompt: 45 %");
    assert.equal(label({ phase: "generating", promptRead: 1 }), "Generating");
    assert.equal(label({}, { starting: true }), "Model is loading");
    assert.equal(label({}, { connected: false }), "Connecting");
    assert.equal(label({ responseId: "resp_1" }, { connected: false }), "Reconnecting");
    assert.equal(label({ phase: "failed" }, { connected: false }), "Failed");
    assert.equal(label({ phase: "complete", stopReason: "max_output_tokens" }), "Max tokens reached");
    assert.equal(label({ phase: "complete", stopReason: "end_of_text" }), "Complete");
});

test("queue positions are English ordinals", () => {
    assert.deepEqual([1, 2, 3, 4, 11, 12, 13, 21, 102].map(ordinal), ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd"]);
});

test("a screen reader hears phases, but no tokens and no queue positions", () => {
    assert.equal(announcementFor([], fine), "");
    assert.equal(announcementFor([waiting], fine), "Waiting for the answer");
    assert.equal(announcementFor([{ ...waiting, queuePosition: 3 }], fine), "Waiting for the answer");
    assert.equal(announcementFor([generating], fine), "Generating the answer");
    assert.equal(announcementFor([generating], { ...fine, connected: false }), "Reconnecting");
    assert.equal(announcementFor([waiting], { ...fine, starting: true }), "The model is loading");
    assert.equal(announcementFor([end(waiting, "stopped", 1)], fine), "Stopped");
    assert.equal(announcementFor([end(waiting, "failed", 1, "why")], fine), "", "the alert announces the error");
});

test("two answers are announced separately if their phases differ", () => {
    assert.equal(announcementFor([generating, generating], fine), "Generating the answer");
    assert.equal(announcementFor([complete, generating], fine), "Answer 1: Answer complete. Answer 2: Generating the answer.");
    assert.equal(announcementFor([end(waiting, "failed", 1, "why"), complete], fine), "Answer 2: Answer complete.");
    assert.equal(announcementFor([complete, complete], fine), "Answer complete");
});
