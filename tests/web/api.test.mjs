import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { load } from "./load.mjs";

const { fetchFacts, fetchHealth, parseFacts, useApiKey } = await load("api.ts");

const realFetch = globalThis.fetch;
afterEach(() => (globalThis.fetch = realFetch));

function respondWith(body, init) {
    globalThis.fetch = async () => new Response(body, init);
}

test("a failed request throws an error with status, code and message", async () => {
    respondWith('{"error":{"message":"No key.","code":"invalid_api_key"}}', { status: 401 });
    await assert.rejects(fetchFacts(), { message: "No key.", status: 401, code: "invalid_api_key" });
});

test("a failed request without a JSON body still has its status in the message", async () => {
    respondWith("<h1>Bad gateway</h1>", { status: 502 });
    await assert.rejects(fetchFacts(), { status: 502, message: /502/ });
});

test("requests carry the API key once it is set", async () => {
    const keys = [];
    globalThis.fetch = async (_, { headers }) => {
        keys.push(headers.get("Authorization"));
        return new Response("{}");
    };
    await fetchFacts();
    useApiKey("secret");
    await fetchFacts();
    assert.deepEqual(keys, [null, null, "Bearer secret", "Bearer secret"]);
});

test("a lost connection is reported as an unreachable server", async () => {
    globalThis.fetch = async () => {
        throw new TypeError("Failed to fetch");
    };
    await assert.rejects(fetchFacts(), { name: "Error", status: 0, message: /cannot be reached/ });
    assert.equal((await fetchHealth()).state, "unreachable");
});

test("the server's state is read from status and body", async () => {
    respondWith('{"status":"ready"}');
    assert.deepEqual(await fetchHealth(), { state: "ready", progress: undefined });
    respondWith('{"status":"loading","progress":40}', { status: 503 });
    assert.deepEqual(await fetchHealth(), { state: "starting", progress: 40 });
    respondWith('{"status":"draining"}', { status: 503 });
    assert.equal((await fetchHealth()).state, "draining");
    respondWith('{"status":"failed"}', { status: 503 });
    assert.equal((await fetchHealth()).state, "failed");
    respondWith("no JSON", { status: 503 });
    assert.equal((await fetchHealth()).state, "starting");
});

test("missing and invalid metadata fields are ignored", () => {
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
