import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { load } from "./load.mjs";

const { begin, change } = await load("answer.ts");
const { loadTurns, parseTurns, saveTurns } = await load("history.ts");

afterEach(() => delete globalThis.sessionStorage);

const step = { kind: "step", lane: "left", responseId: "resp_1", cursor: 7, text: "half" };
const answer = change(begin("id-1", 5), step, 25);

test("stored turns are loaded with text, id and cursor", () => {
    const kept = new Map();
    globalThis.sessionStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
    assert.deepEqual(loadTurns(), []);
    saveTurns([{ question: "Go on.", answers: [answer, begin("id-2", 6)] }]);
    const [turn, ...more] = loadTurns();
    assert.deepEqual(more, []);
    assert.equal(turn.question, "Go on.");
    const [first, second] = turn.answers;
    assert.deepEqual([first.id, first.responseId, first.cursor, first.phase], ["id-1", "resp_1", 7, "generating"]);
    assert.deepEqual([first.text, first.startedAt, first.endedAt, first.measured.ttft], ["half", 5, undefined, 20]);
    assert.deepEqual([second.responseId, second.cursor, second.phase], ["", -1, "waiting"]);
});

test("the queue position and the prompt's progress are not restored", () => {
    const waiting = { ...answer, queuePosition: 3, promptRead: 0.5 };
    const [turn] = parseTurns(JSON.stringify([{ prompt: "x", answers: [waiting] }]));
    assert.deepEqual([turn.answers[0].queuePosition, turn.answers[0].promptRead], [undefined, undefined]);
});

test("invalid stored data is left out", () => {
    for (const stored of [null, "", "{", "{}", "7", "null", '["x",null,{}]', '[{"prompt":"x"}]', '[{"prompt":"x","answers":[{}]}]']) {
        assert.deepEqual(parseTurns(stored), [], String(stored));
    }
    const answers = [{ id: "a", phase: "gone" }, { id: "b", phase: "complete", cursor: "7", text: 3, measured: "x" }];
    const [turn] = parseTurns(JSON.stringify([{ prompt: "x", answers }]));
    assert.deepEqual(turn.answers.map(({ id, cursor, text }) => [id, cursor, text]), [["b", -1, ""]]);
});

test("without storage nothing is stored and nothing fails", () => {
    saveTurns([]);
    assert.deepEqual(loadTurns(), []);
});
