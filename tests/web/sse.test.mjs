import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { SseReader } = await load("sse.ts");
const bytes = (text) => new TextEncoder().encode(text);

function readInPieces(text, size) {
    const reader = new SseReader();
    const all = bytes(text);
    const events = [];
    for (let start = 0; start < all.length; start += size) events.push(...reader.push(all.subarray(start, start + size)));
    return events;
}

test("events come out the same wherever the stream is cut", () => {
    const stream = 'data: {"text":"안녕 💧"}\n\ndata: two\n\ndata: [DONE]\n\n';
    const expected = ['{"text":"안녕 💧"}', "two", "[DONE]"];
    for (let size = 1; size <= bytes(stream).length; size++) assert.deepEqual(readInPieces(stream, size), expected);
});

test("one cut at every byte gives the same events", () => {
    const stream = bytes("data: é😀\r\n\r\ndata: b\n\n");
    for (let cut = 0; cut <= stream.length; cut++) {
        const reader = new SseReader();
        const events = [...reader.push(stream.subarray(0, cut)), ...reader.push(stream.subarray(cut))];
        assert.deepEqual(events, ["é😀", "b"], `cut at ${cut}`);
    }
});

test("an event is given as soon as its blank line is there", () => {
    const reader = new SseReader();
    assert.deepEqual(reader.push(bytes("data: one\n")), []);
    assert.deepEqual(reader.push(bytes("\n")), ["one"]);
});

test("blank keep-alive lines, comments and other fields give no event", () => {
    const stream = "\n\n: comment\n\nevent: x\nid: 7\nretry: 1\n\n\n\ndata: real\n\n\n\n";
    for (const size of [1, 2, 3, 1000]) assert.deepEqual(readInPieces(stream, size), ["real"]);
});

test("data lines are joined and the space after the colon is optional and single", () => {
    assert.deepEqual(readInPieces("data: a\ndata:b\ndata:  c\n\n", 4), ["a\nb\n c"]);
});

test("an event that was cut off is dropped", () => {
    assert.deepEqual(readInPieces("data: whole\n\ndata: half", 5), ["whole"]);
    assert.deepEqual(readInPieces("data: whole\n\ndata: no blank line\n", 5), ["whole"]);
});
