// Tests that eventsource-parser and Chromium read a real stream of unusual characters. eventsource-parser gets the
// bytes of the stream in pieces, split at every place. test_sse_readers.py starts the server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createParser } from "eventsource-parser";
import { chromium } from "playwright-core";

const base = process.env.SOLARD_BASE_URL;
const awkward = [
    'quotes " and \\ backslashes \\\\ and \\n that is none',
    "lines\nand\r\nand\rand\n\nempty ones",
    "data: no event\n\ndata: [DONE]\n\nevent: x\nid: 1\nretry: 1\n: no comment\n\n",
    "{\"error\":{}} [DONE] </script> <!-- & --> ${x} `",
    "nul \u0000 and \u0001\u0008\u000b\u000c\u001b\u001f\u007f\u0085",
    "line separators \u2028\u2029 and spaces \u00a0\u200b\u202e\ufeff",
    "한국어 日本語 עברית العربية ไทย",
    "emoji 😀 👩‍👩‍👧‍👦 🇰🇷 and z̷͔̈a̴l̵g̶o̸ e\u0301",
    "edges \u{10000} \u{10ffff} \uffff \ufffd \ud7ff \ue000",
].join(" | ");
const body = JSON.stringify({ prompt: awkward, echo: true, max_tokens: 4, temperature: 0, stream: true });
const request = { method: "POST", headers: { "content-type": "application/json" }, body };

const textOf = (datas) => {
    assert.equal(datas.at(-1), "[DONE]");
    return datas
        .slice(0, -1)
        .map((data) => JSON.parse(data).choices[0].text)
        .join("");
};

async function whole() {
    const answer = await fetch(`${base}/completions`, { ...request, body: body.replace(',"stream":true', "") });
    return (await answer.json()).choices[0].text;
}

// Returns the events of the stream if its bytes come in these pieces.
function parsed(pieces) {
    const datas = [];
    const parser = createParser({
        onEvent: (event) => datas.push(event.data),
        onError: (error) => assert.fail(error.message),
    });
    const decoder = new TextDecoder();
    for (const piece of pieces) parser.feed(decoder.decode(piece, { stream: true }));
    return datas;
}

test("eventsource-parser reads the same text, split at every byte", async () => {
    const bytes = new Uint8Array(await (await fetch(`${base}/completions`, request)).arrayBuffer());
    const expected = await whole();
    assert.ok(expected.startsWith(awkward));
    assert.equal(textOf(parsed([bytes])), expected);
    assert.equal(textOf(parsed(Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)))), expected);
    for (let at = 1; at < bytes.length; ++at)
        assert.equal(textOf(parsed([bytes.subarray(0, at), bytes.subarray(at)])), expected);
    assert.ok(!bytes.includes(13), "lines must end with LF only");
});

test("Chromium reads the same text in a page", async () => {
    const browser = await chromium.launch({
        executablePath: process.env.SOLARD_CHROMIUM,
        args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
    });
    try {
        const page = await browser.newPage();
        await page.goto(process.env.SOLARD_ROOT_URL);
        const datas = await page.evaluate(async (request) => {
            const reader = (await fetch("/v1/completions", request)).body.pipeThrough(new TextDecoderStream()).getReader();
            let text = "";
            for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
            return text
                .split("\n\n")
                .filter((event) => event)
                .map((event) => event.slice("data: ".length));
        }, request);
        assert.equal(textOf(datas), await whole());
    } finally {
        await browser.close();
    }
});
