import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { requestInput } = await load("turn.ts");
const answer = (text, phase = "complete") => ({ peek: () => ({ text, phase }) });
const turn = (question, ...answers) => ({ id: 1, question, answers });
const user = (content) => ({ role: "user", content });
const assistant = (content) => ({ role: "assistant", content });

test("the input holds the earlier turns, and the system prompt becomes the instructions", () => {
    assert.deepEqual(requestInput("Be brief.", [turn("France?", answer("Paris."))], "Italy?", 0), {
        instructions: "Be brief.",
        input: [user("France?"), assistant("Paris."), user("Italy?")],
    });
    assert.deepEqual(requestInput("  ", [], "Italy?", 0), { input: [user("Italy?")] });
});

test("failed and empty answers are left out with their questions; stopped answers are not", () => {
    const past = [
        turn("first", answer("half an", "failed")),
        turn("second", answer("", "stopped")),
        turn("third", answer("so f", "stopped")),
    ];
    assert.deepEqual(requestInput("", past, "next", 0).input, [user("third"), assistant("so f"), user("next")]);
});

test("each column continues its own answers, or the only answer of a turn", () => {
    const past = [turn("first", answer("only")), turn("second", answer("left"), answer("right"))];
    const texts = (column) => requestInput("", past, "next", column).input.map(({ content }) => content);
    assert.deepEqual(texts(0), ["first", "only", "second", "left", "next"]);
    assert.deepEqual(texts(1), ["first", "only", "second", "right", "next"]);
});
