import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { clamp, DEFAULTS, parseSettings, rangesOf } = await load("settings.ts");
const { count, duration, magnitude, rate } = await load("format.ts");

test("stored settings are loaded; an invalid value becomes the default", () => {
    const kept = { system: "Be brief.", temperature: 0, maxTokens: 64, compare: true };
    assert.deepEqual(parseSettings(JSON.stringify(kept)), kept);
    for (const stored of [null, "", "{", "null", "7", '"x"', "[]", '{"temperature":"hot","maxTokens":null,"system":3,"compare":1}']) {
        assert.deepEqual(parseSettings(stored), DEFAULTS, String(stored));
    }
    assert.equal(parseSettings('{"maxTokens":10.6}').maxTokens, 11);
});

test("ranges come from the server if it states them", () => {
    assert.deepEqual(rangesOf(undefined), { temperature: [0, 2], maxTokens: [1, 4096] });
    assert.deepEqual(rangesOf({ maxTokens: 100, temperature: [0, 1] }), { temperature: [0, 1], maxTokens: [1, 100] });
    assert.deepEqual(rangesOf({ contextLength: 2048 }).maxTokens, [1, 2048]);
});

test("clamp keeps a value inside its range", () => {
    assert.deepEqual([clamp(-1, [0, 2]), clamp(1, [0, 2]), clamp(3, [0, 2]), clamp(NaN, [0, 2])], [0, 1, 2, 0]);
});

test("numbers are formatted for reading", () => {
    assert.deepEqual([duration(83.4), duration(1234)], ["83 ms", "1.2 s"]);
    assert.deepEqual([rate(42.06), rate(140.4)], ["42.1 tok/s", "140 tok/s"]);
    assert.deepEqual([magnitude(10731524096), magnitude(3870000), magnitude(12)], ["10.7B", "3.9M", "12"]);
    assert.deepEqual([count(1, "token"), count(4096, "token")], ["1 token", "4,096 tokens"]);
});
