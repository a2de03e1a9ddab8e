import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { load } from "./load.mjs";

const realFetch = globalThis.fetch;
afterEach(() => (globalThis.fetch = realFetch));

const piece = (content) => `data: ${JSON.stringify({ choices: [{ delta: { content }, finish_reason: null }] })}\n\n`;
const stream = (...texts) => texts.map(piece).join("") + "data: [DONE]\n\n";
const refusal = (status, code) => new Response(JSON.stringify({ error: { message: code, code } }), { status });
const phaseOf = (chat) => chat.turns.value.at(-1).answer.value.phase;

/** A server as a table from path to a function that makes the response. */
function serve(routes) {
    const requests = [];
    globalThis.fetch = async (path, init = {}) => {
        requests.push({ path, body: init.body && JSON.parse(init.body) });
        init.signal?.throwIfAborted();
        return routes[path](init);
    };
    return requests;
}

const ready = {
    "/v1/health/ready": () => new Response('{"status":"ready"}'),
    "/v1/metadata": () => new Response('{"model":{"id":"solard-demo"}}'),
    "/v1/models": () => new Response('{"data":[]}'),
};

test("a conversation goes on with the earlier answers and the system prompt", async () => {
    const chat = await load("chat.ts");
    const answers = [stream("Paris", "."), stream("Rome.")];
    const requests = serve({ "/v1/chat/completions": () => new Response(answers.shift()) });
    chat.settings.value = { system: "Be brief.", temperature: 5, maxTokens: 32 };
    await chat.send("  France? ");
    assert.equal(phaseOf(chat), "complete");
    assert.equal(chat.announcement.value, "Answer complete");
    await chat.send("Italy?");
    assert.deepEqual(requests[1].body.messages, [
        { role: "system", content: "Be brief." },
        { role: "user", content: "France?" },
        { role: "assistant", content: "Paris." },
        { role: "user", content: "Italy?" },
    ]);
    assert.equal(requests[1].body.temperature, 2, "clamped to the range");
    assert.equal(requests[1].body.max_tokens, 32);
});

test("failed turns stay out of the next request", async () => {
    const chat = await load("chat.ts");
    const broken = piece("half an answer") + 'data: {"error":{"message":"It broke."}}\n\n';
    const answers = [refusal(400, "invalid_value"), new Response(broken), new Response(stream("yes"))];
    const requests = serve({ ...ready, "/v1/chat/completions": () => answers.shift() });
    await chat.send("first");
    assert.equal(phaseOf(chat), "failed");
    assert.equal(chat.turns.value[0].answer.value.error, "invalid_value");
    await chat.send("second");
    assert.equal(phaseOf(chat), "failed");
    assert.equal(chat.turns.value[1].answer.value.text, "half an answer");
    await chat.send("third");
    const asked = requests.filter(({ path }) => path === "/v1/chat/completions");
    assert.deepEqual(asked.at(-1).body.messages, [{ role: "user", content: "third" }]);
});

test("stop ends the answer, keeps its text and aborts the request", async () => {
    const chat = await load("chat.ts");
    let aborted = false;
    serve({
        "/v1/chat/completions": ({ signal }) =>
            new Response(
                new ReadableStream({
                    start(controller) {
                        controller.enqueue(new TextEncoder().encode(piece("Once")));
                        signal.addEventListener("abort", () => {
                            aborted = true;
                            controller.error(signal.reason);
                        });
                    },
                }),
            ),
    });
    const sending = chat.send("story");
    const answer = chat.turns.value[0].answer;
    await new Promise((resolve) => answer.subscribe(({ phase }) => phase === "generating" && resolve()));
    assert.ok(chat.running.value);
    await chat.send("ignored while an answer runs");
    chat.stop();
    await sending;
    assert.ok(aborted);
    assert.equal(answer.value.phase, "stopped");
    assert.equal(answer.value.text, "Once");
    assert.equal(chat.turns.value.length, 1);
    assert.ok(!chat.running.value);
});

test("a server that still loads is waited for, and then asked again", async () => {
    const chat = await load("chat.ts");
    const answers = [refusal(503, "server_starting"), new Response(stream("now"))];
    const requests = serve({ ...ready, "/v1/chat/completions": () => answers.shift() });
    await chat.send("hello");
    assert.equal(phaseOf(chat), "complete");
    assert.equal(chat.turns.value[0].answer.value.text, "now");
    const paths = requests.map(({ path }) => path);
    assert.ok(paths.indexOf("/v1/health/ready") > paths.indexOf("/v1/chat/completions"));
    assert.equal(chat.serverState.value, "ready");
    assert.equal(requests.at(-1).body.model, "solard-demo");
});

test("new chat forgets the turns", async () => {
    const chat = await load("chat.ts");
    serve({ "/v1/chat/completions": () => new Response(stream("a")) });
    await chat.send("x");
    chat.newChat();
    assert.deepEqual(chat.turns.value, []);
    assert.equal(chat.announcement.value, "");
});
