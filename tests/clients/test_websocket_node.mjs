// Tests the WebSocket of /v1/responses with the openai package for node and with the Agents SDK. test_websocket_node.py
// starts the servers.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import OpenAI6 from "openai";
import { ResponsesWS as ResponsesWS6 } from "openai/resources/responses/ws";
import WebSocket from "ws";

const isNewNode = Number(process.versions.node.split(".")[0]) >= 20;
const packages = { 6: [OpenAI6, ResponsesWS6] };
if (isNewNode) {
    const { default: OpenAI7 } = await import("openai7");
    packages[7] = [OpenAI7, (await import("openai7/resources/responses/ws")).ResponsesWS];
}

const baseURL = process.env.SOLARD_BASE_URL;
const endlessURL = process.env.SOLARD_ENDLESS_URL;
const model = process.env.SOLARD_MODEL;
const request = { model, input: "What is the capital of France?", temperature: 0 };
const answer = "The capital of France is Paris.";
const freePorts = process.env.SOLARD_PORTS.split(" ");
const laneLimits = { maxLanes: 40, maxBufferedEvents: 100_000, maxBufferedBytes: 1 << 26 };
const terminals = ["response.completed", "response.incomplete", "response.failed", "error"];

/** Returns every event of one response, up to its terminal event. */
async function readResponse(socket) {
    const events = [];
    for await (const { type, message, error } of socket) {
        if (type === "error") throw error;
        if (type !== "message") continue;
        events.push(message);
        if (terminals.includes(message.type)) return events;
    }
    throw new Error("the socket closed before the response ended");
}

const textOf = (events) =>
    events
        .filter(({ type }) => type === "response.output_text.delta")
        .map(({ delta }) => delta)
        .join("");

async function opened(socket) {
    for await (const { type } of socket) if (type === "open") return;
}

for (const [version, [OpenAI, ResponsesWS]] of Object.entries(packages)) {
    const connect = (url = baseURL, options = {}) =>
        new ResponsesWS(new OpenAI({ baseURL: url, apiKey: "none", maxRetries: 0 }), options);

    test(`openai ${version}: three responses in a row, each of which continues the one before`, async () => {
        const socket = connect();
        try {
            socket.send({ type: "response.create", ...request, stream: true });
            const first = await readResponse(socket);
            assert.equal(textOf(first), answer);
            const { response } = first.at(-1);
            assert.equal(response.output[0].content[0].text, answer);
            assert.ok(first.every((event) => event.stream_id === undefined));
            socket.send({ type: "response.create", ...request, input: "Thanks", previous_response_id: response.id });
            const second = (await readResponse(socket)).at(-1);
            assert.equal(second.type, "response.completed");
            assert.ok(second.response.usage.input_tokens_details.cached_tokens > 0);
            const warm = { ...request, previous_response_id: second.response.id, generate: false };
            socket.send({ type: "response.create", ...warm });
            const events = await readResponse(socket);
            assert.equal(events.at(-1).type, "response.completed");
            assert.deepEqual(events.at(-1).response.output, []);
        } finally {
            socket.close();
        }
    });

    test(`openai ${version}: an error can be read, and the socket stays usable`, async () => {
        const socket = connect();
        const refused = new Promise((resolve) => socket.on("error", resolve));
        const ended = new Promise((resolve) => socket.on("response.completed", resolve));
        try {
            socket.send({ type: "response.create", ...request, model: "nobody" });
            socket.send({ type: "response.create", ...request });
            const { error } = await refused;
            assert.equal(error.error.code, "model_not_found");
            assert.equal(error.status, 404);
            assert.equal(error.error.param, "model");
            assert.equal((await ended).response.output[0].content[0].text, answer);
        } finally {
            socket.close();
        }
    });

    test(`openai ${version}: a response cancelled by its id ends with the text so far`, async () => {
        const socket = connect(endlessURL);
        try {
            socket.send({ type: "response.create", input: "Hi", max_output_tokens: 4000 });
            const events = [];
            let cancelled = false;
            for await (const { type, message } of socket) {
                if (type !== "message") continue;
                events.push(message);
                if (message.type === "response.output_text.delta" && !cancelled) {
                    cancelled = true;
                    socket.send({ type: "response.cancel", response_id: message.response_id });
                }
                if (terminals.includes(message.type)) break;
            }
            const last = events.at(-1);
            assert.equal(last.type, "response.incomplete");
            assert.equal(last.response.status, "cancelled");
            assert.equal(last.response.output[0].content[0].text, textOf(events));
        } finally {
            socket.close();
        }
    });

    test(`openai ${version}: a response survives its killed socket and continues on a new one and over HTTP`, async () => {
        const first = connect(endlessURL);
        const wanted = { input: "Hi", max_output_tokens: 300, temperature: 0, solar: { resumable: true } };
        first.send({ type: "response.create", ...wanted });
        const begun = [];
        for await (const { type, message } of first) {
            if (type !== "message") continue;
            begun.push(message);
            if (message.sequence_number >= 10) break;
        }
        const { response_id, sequence_number: starting_after } = begun.at(-1);
        (first.socket.platformSocket ?? first.socket).terminate();
        const second = connect(endlessURL);
        try {
            second.send({ type: "solar:attach", response_id, starting_after });
            const rest = await readResponse(second);
            assert.ok(rest[0].sequence_number > starting_after);
            const whole = rest.at(-1).response.output[0].content[0].text;
            assert.equal(textOf(begun) + textOf(rest), whole);
            const client = new OpenAI({ baseURL: endlessURL, apiKey: "none" });
            let again = textOf(begun);
            for await (const event of await client.responses.retrieve(response_id, { stream: true, starting_after }))
                if (event.type === "response.output_text.delta") again += event.delta;
            assert.equal(again, whole);
        } finally {
            second.close();
        }
    });

    test(`openai ${version}: a wrong key is refused at the upgrade`, async () => {
        const socket = new ResponsesWS(new OpenAI({ baseURL: process.env.SOLARD_LOCKED_URL, apiKey: "wrong" }));
        const error = await new Promise((resolve) => socket.on("error", resolve));
        assert.match(String(error.message), /401/);
        const right = new ResponsesWS(
            new OpenAI({ baseURL: process.env.SOLARD_LOCKED_URL, apiKey: process.env.SOLARD_LOCKED_KEY }),
        );
        right.send({ type: "response.create", ...request });
        assert.equal(textOf(await readResponse(right)), answer);
        right.close();
    });
}

/** Starts solard on this port, and returns when the server is ready. */
async function startServer(port) {
    // The environment is empty, because solard would use some variables of this test as options.
    const server = spawn(process.env.SOLARD_BINARY, ["--port", port, "--device", "cpu"], { stdio: "ignore", env: {} });
    for (;;) {
        const health = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
        if (health?.ok) return server;
        assert.equal(server.exitCode, null, "solard ended before it was ready");
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

for (const [version, [OpenAI, ResponsesWS]] of Object.entries(packages)) {
    test(`openai ${version}: the client reconnects after a restart of the server`, async () => {
        const port = freePorts.pop();
        let server = await startServer(port);
        const codes = [];
        const reconnect = { onReconnecting: ({ closeCode }) => void codes.push(closeCode), initialDelay: 50 };
        const client = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: "none" });
        const socket = new ResponsesWS(client, { reconnect });
        socket.on("error", () => undefined);
        try {
            socket.send({ type: "response.create", ...request });
            const answers = [];
            socket.on("response.completed", ({ response }) => answers.push(response.output[0].content[0].text));
            await new Promise((resolve) => socket.on("response.completed", resolve));
            const reconnected = new Promise((resolve) => socket.on("reconnected", resolve));
            const ended = once(server, "exit");
            server.kill("SIGTERM");
            await ended;
            server = await startServer(port);
            await reconnected;
            socket.send({ type: "response.create", ...request });
            await new Promise((resolve) => socket.on("response.completed", resolve));
            assert.deepEqual(answers, [answer, answer]);
            assert.equal(codes[0], 1012);
        } finally {
            socket.close();
            server.kill("SIGKILL");
        }
    });
}

test("openai 7: many lanes work at once, and the answers of one lane come in order", { skip: !isNewNode }, async () => {
    const [OpenAI, ResponsesWS] = packages[7];
    const { ResponsesWebSocketSession } = await import("openai7/lib/responses/responses-websocket-session");
    const socket = new ResponsesWS(new OpenAI({ baseURL, apiKey: "none" }));
    await opened(socket);
    const session = new ResponsesWebSocketSession(socket, laneLimits);
    try {
        const lanes = Array.from({ length: 16 }, (_, i) => session.lane(`lane-${i}`));
        for (const lane of lanes) lane.create(request);
        const answers = await Promise.all(lanes.map((lane) => lane.finalResponse()));
        assert.equal(new Set(answers.map(({ id }) => id)).size, 16);
        for (const response of answers) assert.equal(response.output_text, answer);

        // In one lane the second request is refused, and the third still gets its own answer.
        const [lane] = lanes;
        for (const fields of [{}, { top_p: 9 }, {}]) lane.create({ ...request, ...fields });
        assert.equal((await lane.finalResponse()).output_text, answer);
        await assert.rejects(lane.finalResponse(), (failure) => failure.error.error.param === "top_p");
        assert.equal((await lane.finalResponse()).output_text, answer);
        const usual = session.lane();
        usual.create(request);
        assert.equal((await usual.finalResponse()).output_text, answer);
    } finally {
        session.close();
        socket.close();
    }
});

test("openai 7: cancelling one lane lets the other one finish", { skip: !isNewNode }, async () => {
    const [OpenAI, ResponsesWS] = packages[7];
    const { ResponsesWebSocketSession } = await import("openai7/lib/responses/responses-websocket-session");
    const socket = new ResponsesWS(new OpenAI({ baseURL: endlessURL, apiKey: "none" }));
    await opened(socket);
    const session = new ResponsesWebSocketSession(socket, laneLimits);
    try {
        const [stopped, finished] = [session.lane("a"), session.lane("b")];
        stopped.create({ model: "", input: "Hi", max_output_tokens: 4000 });
        finished.create({ model: "", input: "Hi", max_output_tokens: 40 });
        await stopped.receive();
        socket.send({ type: "response.cancel", stream_id: "a" });
        assert.equal((await finished.finalResponse()).usage.output_tokens, 40);
        assert.equal((await stopped.finalResponse()).status, "cancelled");
    } finally {
        session.close();
        socket.close();
    }
});

test("the Agents SDK works over its WebSocket transport", { skip: !isNewNode }, async () => {
    globalThis.WebSocket ??= WebSocket;
    const { Agent, setTracingDisabled } = await import("@openai/agents-core");
    const { withResponsesWebSocketSession } = await import("@openai/agents-openai");
    setTracingDisabled(true);
    const agent = new Agent({ name: "tester", model, modelSettings: { temperature: 0 } });
    const options = { providerOptions: { apiKey: "none", baseURL, useResponses: true, useResponsesWebSocket: true } };
    await withResponsesWebSocketSession(async ({ run }) => {
        const whole = await run(agent, request.input);
        assert.equal(whole.finalOutput, answer);
        const streamed = await run(agent, request.input, { stream: true });
        let text = "";
        for await (const chunk of streamed.toTextStream()) text += chunk;
        await streamed.completed;
        assert.equal(text, answer);
    }, options);
});
