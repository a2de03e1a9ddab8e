import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { load } from "./load.mjs";

const { fetchFacts, fetchHealth, parseFacts, useApiKey } = await load("api.ts");

const realFetch = globalThis.fetch;
afterEach(() => (globalThis.fetch = realFetch));

function answerWith(body, init) {
    globalThis.fetch = async () => new Response(body, init);
}

test("a refusal carries status, code and message", async () => {
    answerWith('{"error":{"message":"No key.","code":"invalid_api_key"}}', { status: 401 });
    await assert.rejects(fetchFacts(), { message: "No key.", status: 401, code: "invalid_api_key" });
});

test("a refusal without a JSON body still names the status", async () => {
    answerWith("<h1>Bad gateway</h1>", { status: 502 });
    await assert.rejects(fetchFacts(), { status: 502, message: /502/ });
});

test("requests carry the key once there is one", async () => {
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

test("no connection is told as such", async () => {
    globalThis.fetch = async () => {
        throw new TypeError("Failed to fetch");
    };
    await assert.rejects(fetchFacts(), { name: "Error", status: 0, message: /cannot be reached/ });
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
