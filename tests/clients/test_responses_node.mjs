// Tests /v1/responses with the openai package for node and with the AI SDK's default model. test_responses_node.py
// starts the server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, streamText } from "ai";
import OpenAI6 from "openai";

const packages = { 6: OpenAI6 };
if (Number(process.versions.node.split(".")[0]) >= 20) packages[7] = (await import("openai7")).default;

const baseURL = process.env.SOLARD_BASE_URL;
const model = process.env.SOLARD_MODEL;
const request = { model, input: "What is the capital of France?", temperature: 0 };
const answer = "The capital of France is Paris.";

for (const [version, OpenAI] of Object.entries(packages)) {
    const openai = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });

    test(`openai ${version}: create, retrieve and delete`, async () => {
        const made = await openai.responses.create(request);
        assert.equal(made.output_text, answer);
        assert.equal(made.status, "completed");
        assert.equal((await openai.responses.retrieve(made.id)).output_text, answer);
        await openai.responses.delete(made.id);
        await assert.rejects(openai.responses.retrieve(made.id), OpenAI.NotFoundError);
    });

    test(`openai ${version}: a stream, and the helper that joins it`, async () => {
        let text = "";
        let last;
        for await (const event of await openai.responses.create({ ...request, stream: true })) {
            if (event.type === "response.output_text.delta") text += event.delta;
            last = event;
        }
        assert.equal(text, answer);
        assert.equal(last.type, "response.completed");
        const wanted = { ...request, include: ["message.output_text.logprobs"], top_logprobs: 1 };
        const final = await openai.responses.stream(wanted).finalResponse();
        assert.equal(final.output_text, answer);
        assert.equal(final.output[0].content[0].logprobs.length, final.usage.output_tokens);
        const followed = openai.responses.stream({ response_id: final.id, starting_after: 5 });
        assert.equal((await followed.finalResponse()).output_text, answer);
    });

    test(`openai ${version}: an error names its field`, async () => {
        const wrong = openai.responses.create({ ...request, tools: [{ type: "web_search" }] });
        await assert.rejects(wrong, (error) => error.code === "unsupported_parameter" && error.param === "tools[0].type");
    });
}

test("the AI SDK's default model uses /v1/responses", async () => {
    const served = createOpenAI({ baseURL, apiKey: "none" })(model);
    const settings = { model: served, prompt: request.input, temperature: 0, maxRetries: 0 };
    const whole = await generateText(settings);
    assert.equal(whole.text, answer);
    assert.ok(whole.usage.outputTokens > 0);
    const { textStream, finishReason } = streamText(settings);
    let text = "";
    for await (const part of textStream) text += part;
    assert.equal(text, answer);
    assert.equal(await finishReason, "stop");
});
