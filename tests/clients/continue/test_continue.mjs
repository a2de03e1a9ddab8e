// Tests the adapters of the editor extension Continue with the real server. test_continue.py starts the server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { constructLlmApi } from "@continuedev/openai-adapters";

const model = process.env.SOLARD_MODEL;
const messages = [{ role: "user", content: "What is the capital of France?" }];
const prompt = "### User:\nWhat is the capital of France?\n\n### Assistant:\n";
const answer = "The capital of France is Paris.";
const settings = { model, temperature: 0, max_tokens: 4096 };
const signal = new AbortController().signal;

// The names of providers that users choose for a server of their own.
for (const provider of ["openai", "vllm", "lmstudio", "llama.cpp"]) {
    const api = constructLlmApi({ provider, apiBase: `${process.env.SOLARD_BASE_URL}/`, apiKey: "none" });

    test(`${provider}: a whole answer`, async () => {
        const whole = await api.chatCompletionNonStream({ ...settings, messages }, signal);
        assert.equal(whole.choices[0].message.content, answer);
    });

    test(`${provider}: a stream`, async () => {
        let text = "";
        for await (const chunk of api.chatCompletionStream({ ...settings, messages, stream: true }, signal))
            text += chunk.choices[0]?.delta.content ?? "";
        assert.equal(text, answer);
    });

    test(`${provider}: a stream of completions`, async () => {
        let text = "";
        for await (const chunk of api.completionStream({ ...settings, prompt, stream: true }, signal))
            text += chunk.choices[0]?.text ?? "";
        assert.equal(text, answer);
    });

    test(`${provider}: the list of models`, async () => {
        assert.deepEqual((await api.list()).map(({ id }) => id), [model]);
    });

    test(`${provider}: an error has the server's message`, async () => {
        const wrong = api.chatCompletionNonStream({ ...settings, temperature: 3, messages }, signal);
        await assert.rejects(wrong, /temperature must be a number from 0 to 2/);
    });
}
