// Tests the openai package for node with the real server. test_openai_node.py starts the servers, and sets the
// addresses and the major version of the package.
import assert from "node:assert/strict";
import { test } from "node:test";

const { default: OpenAI } = await import(process.env.SOLARD_OPENAI_PACKAGE);

const client = (base, options) => new OpenAI({ apiKey: "not-needed", baseURL: base, maxRetries: 0, ...options });
const openai = client(process.env.SOLARD_BASE_URL);
const endless = client(process.env.SOLARD_ENDLESS_URL);
const model = process.env.SOLARD_MODEL;

const question = {
    model,
    messages: [{ role: "user", content: "What is the capital of France?" }],
    temperature: 0,
    top_p: 1,
    max_tokens: 64,
};

test("the published snippet", async () => {
    const completion = await openai.chat.completions.create({ ...question, stream: false });
    assert.match(completion.choices[0]?.message?.content, /Paris/);
    assert.equal(completion.choices[0].finish_reason, "stop");
    assert.ok(completion._request_id);
});

test("the published snippet, streaming", async () => {
    const whole = await openai.chat.completions.create(question);
    const stream = await openai.chat.completions.create({
        ...question,
        stream: true,
        stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const last = chunks.pop();
    assert.deepEqual(last.choices, []);
    assert.deepEqual(last.usage, whole.usage);
    const text = chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join("");
    assert.equal(text, whole.choices[0].message.content);
    assert.equal(chunks[0].choices[0].delta.role, "assistant");
    assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
});

test("the stream helper joins the answer", async () => {
    const stream = openai.chat.completions.stream(question);
    const completion = await stream.finalChatCompletion();
    assert.match(completion.choices[0].message.content, /Paris/);
});

test("several choices and logprobs are the same, whole and joined by the stream helper", async () => {
    const request = { ...question, n: 2, temperature: 1, seed: 4, logprobs: true, top_logprobs: 2 };
    const whole = await openai.chat.completions.create(request);
    assert.deepEqual(
        whole.choices.map((choice) => choice.index),
        [0, 1],
    );
    const final = await openai.chat.completions.stream(request).finalChatCompletion();
    for (const [i, choice] of whole.choices.entries()) {
        assert.equal(final.choices[i].message.content, choice.message.content);
        assert.deepEqual(final.choices[i].logprobs.content, choice.logprobs.content);
        const bytes = choice.logprobs.content.flatMap((token) => token.bytes);
        assert.equal(new TextDecoder().decode(Uint8Array.from(bytes)), choice.message.content);
    }
});

async function engine() {
    const response = await fetch(`${process.env.SOLARD_ENDLESS_URL}/metadata`);
    return (await response.json()).engine;
}

async function untilIdle() {
    const deadline = Date.now() + 60_000;
    while ((await engine()).num_running > 0) {
        assert.ok(Date.now() < deadline, "the engine was still running after 60 s");
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

const long = { ...question, model: "", max_tokens: 3500, stream: true };

test("leaving the loop stops the generation", async () => {
    for await (const chunk of await endless.chat.completions.create(long)) {
        if (chunk.choices[0].delta.content) break;
    }
    await untilIdle();
});

test("an abort stops the generation", async () => {
    const abort = new AbortController();
    const stream = await endless.chat.completions.create(long, { signal: abort.signal });
    for await (const chunk of stream) {
        if (chunk.choices[0].delta.content) abort.abort();
    }
    await untilIdle();
});

test("errors have their class, code and field", async () => {
    await assert.rejects(openai.chat.completions.create({ ...question, model: "no-such-model" }), (error) => {
        assert.ok(error instanceof OpenAI.NotFoundError);
        assert.equal(error.code, "model_not_found");
        assert.ok(error.requestID);
        return true;
    });
    await assert.rejects(openai.chat.completions.create({ ...question, logit_bias: { the: 1 } }), (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError);
        assert.equal(error.param, "logit_bias");
        return true;
    });
    await assert.rejects(openai.chat.completions.create({ ...question, temperature: 9 }), (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError);
        assert.equal(error.param, "temperature");
        return true;
    });
    const prompt = [{ role: "user", content: "hello ".repeat(6000) }];
    await assert.rejects(openai.chat.completions.create({ ...question, messages: prompt, stream: true }), (error) => {
        assert.equal(error.code, "context_length_exceeded");
        assert.match(error.message, /4096/);
        return true;
    });
});

test("completions, whole and streamed", async () => {
    const prompt = ["France", "Italy"].map((name) => `### User:\nWhat is the capital of ${name}?\n\n### Assistant:\n`);
    const request = { model, prompt, temperature: 0, max_tokens: 40, logprobs: 1 };
    const whole = await openai.completions.create(request);
    assert.deepEqual(
        whole.choices.map((choice) => choice.text),
        ["The capital of France is Paris.", "The capital of Italy is Rome."],
    );
    const texts = ["", ""];
    for await (const chunk of await openai.completions.create({ ...request, stream: true }))
        texts[chunk.choices[0].index] += chunk.choices[0].text;
    assert.deepEqual(
        texts,
        whole.choices.map((choice) => choice.text),
    );
    assert.equal(whole.choices[0].logprobs.tokens.join(""), texts[0] + "</s>");
});

test("the parse helper reads plain answers and answers with a schema", async () => {
    const plain = await openai.chat.completions.parse(question);
    assert.match(plain.choices[0].message.content, /Paris/);
    const cities = ["Paris", "Rome", "Tokyo"];
    const schema = { type: "object", properties: { name: { enum: cities } }, required: ["name"] };
    const wanted = { ...question, response_format: { type: "json_schema", json_schema: { name: "city", schema } } };
    const city = await openai.chat.completions.parse(wanted);
    assert.ok(cities.includes(JSON.parse(city.choices[0].message.content).name));
});

test("a full server is retried until there is capacity", async () => {
    const one = process.env.SOLARD_ONE_AT_A_TIME_URL;
    const held = await client(one).chat.completions.create(long);
    for await (const chunk of held) {
        if (!chunk.choices[0].delta.content) continue;
        await assert.rejects(client(one).chat.completions.create({ ...question, model: "", max_tokens: 2 }), (error) => {
            assert.equal(error.status, 503);
            assert.equal(error.code, "server_overloaded");
            assert.ok(Number(error.headers.get("retry-after-ms")) >= 100);
            return true;
        });
        break;
    }
    const patient = client(one, { maxRetries: 20 });
    const answer = await patient.chat.completions.create({ ...question, model: "", max_tokens: 2 });
    assert.equal(answer.choices[0].finish_reason, "length");
});

test("the client's timeout stops the generation", async () => {
    const hasty = client(process.env.SOLARD_ENDLESS_URL, { timeout: 200 });
    await assert.rejects(
        hasty.chat.completions.create({ ...question, model: "", max_tokens: 3500 }),
        OpenAI.APIConnectionTimeoutError,
    );
    await untilIdle();
});

test("models are listed", async () => {
    const models = await openai.models.list();
    assert.equal(models.data[0].id, model);
    assert.equal((await openai.models.retrieve(model)).id, model);
});
