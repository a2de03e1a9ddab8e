import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { load } from "./load.mjs";

const { ApiError, fetchHealth, parseDelta, parseFacts, streamChat } = await load("api.ts");

const realFetch = globalThis.fetch;
afterEach(() => (globalThis.fetch = realFetch));

const chunk = (body) => `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", ...body })}\n\n`;
const piece = (content) => chunk({ choices: [{ index: 0, delta: { content }, finish_reason: null }] });
const request = { model: "m", messages: [{ role: "user", content: "hi" }], temperature: 0, max_tokens: 5 };

function answerWith(body, init) {
    globalThis.fetch = async () => new Response(body, init);
}

async function collect(signal = new AbortController().signal) {
    const deltas = [];
    for await (const delta of streamChat(request, signal)) deltas.push(delta);
    return deltas;
}

test("a stream gives its texts, its finish reason and the server's token count", async () => {
    answerWith(
        piece("Par") +
            "\n\n" +
            piece("is") +
            chunk({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }) +
            chunk({ choices: [], usage: { completion_tokens: 2 } }) +
            "data: [DONE]\n\n",
    );
    const deltas = await collect();
    assert.equal(deltas.map((delta) => delta.text).join(""), "Paris");
    assert.deepEqual(deltas.map((delta) => delta.finishReason).filter(Boolean), ["stop"]);
    assert.equal(deltas.at(-1).completionTokens, 2);
});

test("the request asks for a stream with usage", async () => {
    let sent;
    globalThis.fetch = async (path, init) => {
        sent = { path, method: init.method, body: JSON.parse(init.body) };
        return new Response("data: [DONE]\n\n");
    };
    await collect();
    assert.equal(sent.path, "/v1/chat/completions");
    assert.equal(sent.method, "POST");
    assert.deepEqual(sent.body, { ...request, stream: true, stream_options: { include_usage: true } });
});

test("an error object inside the stream is raised with its message", async () => {
    answerWith(piece("a") + 'data: {"error":{"object":"error","message":"It broke.","code":"engine_unavailable"}}\n\n');
    await assert.rejects(collect(), (error) => {
        assert.ok(error instanceof ApiError);
        assert.equal(error.message, "It broke.");
        assert.equal(error.code, "engine_unavailable");
        return true;
    });
});

test("a stream that ends without [DONE] is an error", async () => {
    answerWith(piece("a"));
    await assert.rejects(collect(), /before the answer was complete/);
});

test("a refused request carries status, code and message", async () => {
    answerWith('{"error":{"message":"Too long.","code":"context_length_exceeded"}}', { status: 400 });
    await assert.rejects(collect(), { message: "Too long.", status: 400, code: "context_length_exceeded" });
});

test("a refusal without a JSON body still names the status", async () => {
    answerWith("<h1>Bad gateway</h1>", { status: 502 });
    await assert.rejects(collect(), { status: 502, message: /502/ });
});

test("leaving the loop closes the body", async () => {
    let cancelled = false;
    const body = new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode(piece("a"))),
        cancel: () => (cancelled = true),
    });
    answerWith(body);
    for await (const delta of streamChat(request, new AbortController().signal)) {
        assert.equal(delta.text, "a");
        break;
    }
    assert.ok(cancelled);
});

test("an abort is not told as an error of the server", async () => {
    const abort = new AbortController();
    abort.abort();
    globalThis.fetch = async (_, init) => init.signal.throwIfAborted();
    await assert.rejects(collect(abort.signal), { name: "AbortError" });
});

test("no connection is told as such", async () => {
    globalThis.fetch = async () => {
        throw new TypeError("Failed to fetch");
    };
    await assert.rejects(collect(), { name: "Error", status: 0, message: /cannot be reached/ });
    assert.equal((await fetchHealth()).state, "unreachable");
});

test("readiness is read from status and body", async () => {
    answerWith('{"status":"ready"}');
    assert.deepEqual(await fetchHealth(), { state: "ready", progress: undefined });
    answerWith('{"status":"loading","progress":40}', { status: 503 });
    assert.deepEqual(await fetchHealth(), { state: "starting", progress: 40 });
    answerWith('{"status":"draining"}', { status: 503 });
    assert.equal((await fetchHealth()).state, "draining");
    answerWith('{"status":"failed"}', { status: 503 });
    assert.equal((await fetchHealth()).state, "failed");
    answerWith("no JSON", { status: 503 });
    assert.equal((await fetchHealth()).state, "starting");
});

test("malformed events are errors, unknown fields are not", () => {
    assert.throws(() => parseDelta("{"), /not JSON/);
    assert.equal(parseDelta("[DONE]"), undefined);
    const empty = { text: "", finishReason: undefined, completionTokens: undefined };
    for (const data of ["{}", "null", "[]", '{"choices":null}', '{"choices":[{"delta":{"content":null}}],"usage":null}']) {
        assert.deepEqual(parseDelta(data), empty, data);
    }
});

test("facts survive missing and wrong metadata", () => {
    for (const metadata of [undefined, null, 7, [], {}, { model: "x", limits: [], examples: "no" }]) {
        const facts = parseFacts(metadata, { data: [{ id: "from-models" }] });
        assert.equal(facts.model, "from-models");
        assert.deepEqual(facts.examples, []);
        assert.equal(facts.temperature, undefined);
    }
    const facts = parseFacts(
        {
            model: { id: "solard-demo", context_length: 4096, num_parameters: 5 },
            device: "cpu",
            limits: { max_tokens: 4095, temperature: [0, 2] },
            examples: ["a", 3, "", "b"],
        },
        {},
    );
    assert.deepEqual([facts.model, facts.contextLength, facts.maxTokens], ["solard-demo", 4096, 4095]);
    assert.deepEqual(facts.temperature, [0, 2]);
    assert.deepEqual(facts.examples, ["a", "b"]);
    assert.equal(parseFacts({ limits: { temperature: [2, 0] } }, {}).temperature, undefined);
});
