// Tests the AI SDK's providers `openai` and `openai-compatible` with the real server. test_ai_sdk.py starts the
// servers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateObject, generateText, jsonSchema, streamText, tool } from "ai";

const model = process.env.SOLARD_MODEL;
const providers = {
    openai: (baseURL) => createOpenAI({ baseURL, apiKey: "none" }),
    compatible: (baseURL) => createOpenAICompatible({ name: "solard", baseURL, includeUsage: true, supportsStructuredOutputs: true }),
};
const chat = {
    openai: (provider, id) => provider.chat(id),
    compatible: (provider, id) => provider(id),
};
const prompt = "What is the capital of France?";
const citySchema = {
    type: "object",
    properties: { city: { enum: ["Paris"] } },
    required: ["city"],
    additionalProperties: false,
};
const settings = { temperature: 0, maxOutputTokens: 64, maxRetries: 0 };

for (const [name, provider] of Object.entries(providers)) {
    const served = chat[name](provider(process.env.SOLARD_BASE_URL), model);

    test(`${name}: generateText returns the text, the finish reason and the usage`, async () => {
        const { text, finishReason, usage } = await generateText({ model: served, prompt, ...settings });
        assert.equal(text, "The capital of France is Paris.");
        assert.equal(finishReason, "stop");
        assert.equal(usage.totalTokens, usage.inputTokens + usage.outputTokens);
    });

    test(`${name}: a system prompt is accepted, also if it is sent as developer message`, async () => {
        const { text } = await generateText({ model: served, system: "You are a helpful assistant.", prompt, ...settings });
        assert.match(text, /Paris/);
    });

    test(`${name}: a stream has the same text and usage`, async () => {
        const { textStream, usage, finishReason } = streamText({ model: served, prompt, ...settings });
        let text = "";
        for await (const part of textStream) text += part;
        assert.equal(text, "The capital of France is Paris.");
        assert.equal(await finishReason, "stop");
        assert.ok((await usage).outputTokens > 0);
    });

    test(`${name}: a tool is called, also in a stream`, async () => {
        const tools = { look_up: tool({ description: "Looks up.", inputSchema: jsonSchema(citySchema) }) };
        const asked = { model: served, prompt, ...settings, tools, toolChoice: { type: "tool", toolName: "look_up" } };
        const { toolCalls, finishReason } = await generateText(asked);
        assert.deepEqual(toolCalls[0].input, { city: "Paris" });
        assert.equal(toolCalls[0].toolName, "look_up");
        const parts = [];
        for await (const part of streamText(asked).fullStream) parts.push(part);
        assert.deepEqual(parts.find((part) => part.type === "tool-call").input, { city: "Paris" });
        assert.ok(["tool-calls", "length"].includes(finishReason));
    });

    test(`${name}: generateObject returns an object of the schema`, async () => {
        const { object } = await generateObject({ model: served, prompt, ...settings, schema: jsonSchema(citySchema) });
        assert.deepEqual(object, { city: "Paris" });
    });

    test(`${name}: an error has status and message`, async () => {
        const unknown = chat[name](provider(process.env.SOLARD_BASE_URL), "other");
        await assert.rejects(generateText({ model: unknown, prompt, ...settings }), (error) => {
            assert.ok(APICallError.isInstance(error));
            assert.equal(error.statusCode, 404);
            assert.match(error.message, /'other' does not exist/);
            assert.equal(error.isRetryable, false);
            return true;
        });
    });

    test(`${name}: an abort stops the generation`, async () => {
        const endless = chat[name](provider(process.env.SOLARD_ENDLESS_URL), process.env.SOLARD_ENDLESS_MODEL);
        const abort = new AbortController();
        const { fullStream } = streamText({
            model: endless,
            prompt,
            ...settings,
            maxOutputTokens: 3500,
            abortSignal: abort.signal,
            onError: () => {},
        });
        for await (const part of fullStream) if (part.type === "text-delta") abort.abort();
        const deadline = Date.now() + 60_000;
        for (let running = 1; running > 0; ) {
            assert.ok(Date.now() < deadline, "the engine was still running after 60 s");
            const metadata = await (await fetch(`${process.env.SOLARD_ENDLESS_URL}/metadata`)).json();
            running = metadata.engine.num_running;
        }
    });
}

test("both providers read /v1/completions", async () => {
    const text = `### User:\n${prompt}\n\n### Assistant:\n`;
    for (const [name, provider] of Object.entries(providers)) {
        const base = provider(process.env.SOLARD_BASE_URL);
        const completion = name === "openai" ? base.completion(model) : base.completionModel(model);
        const { content } = await completion.doGenerate({
            prompt: [{ role: "user", content: [{ type: "text", text }] }],
            temperature: 0,
            maxOutputTokens: 40,
        });
        assert.ok(content.length === 1 && typeof content[0].text === "string");
    }
});
