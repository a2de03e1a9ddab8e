import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { conversation } = await load("conversation.ts");
const answer = (text, phase = "complete") => ({ peek: () => ({ text, phase }) });
const turn = (prompt, ...answers) => ({ id: 1, prompt, answers });
const user = (content) => ({ role: "user", content });
const assistant = (content) => ({ role: "assistant", content });

test("the input goes on with the earlier answers, and the system text are the instructions", () => {
    assert.deepEqual(conversation("Be brief.", [turn("France?", answer("Paris."))], "Italy?", 0), {
        instructions: "Be brief.",
        input: [user("France?"), assistant("Paris."), user("Italy?")],
    });
    assert.deepEqual(conversation("  ", [], "Italy?", 0), { input: [user("Italy?")] });
});

test("failed and empty answers are left out with their questions, stopped ones are not", () => {
    const past = [
        turn("first", answer("half an", "failed")),
        turn("second", answer("", "stopped")),
        turn("third", answer("so f", "stopped")),
    ];
    assert.deepEqual(conversation("", past, "next", 0).input, [user("third"), assistant("so f"), user("next")]);
});

test("each column goes on with its own answers, or with the only one", () => {
    const past = [turn("first", answer("only")), turn("second", answer("left"), answer("right"))];
    const texts = (column) => conversation("", past, "next", column).input.map(({ content }) => content);
    assert.deepEqual(texts(0), ["first", "only", "second", "left", "next"]);
    assert.deepEqual(texts(1), ["first", "only", "second", "right", "next"]);
});
