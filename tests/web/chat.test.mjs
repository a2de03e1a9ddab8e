import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { FakeWebSocket, settled, useFakeSockets } from "./fake_socket.mjs";
import { load } from "./load.mjs";

const realFetch = globalThis.fetch;
const loaded = [];
beforeEach(useFakeSockets);
afterEach(() => {
    for (const chat of loaded.splice(0)) chat.stop(); // A running answer's clock would keep node from ending.
    globalThis.fetch = realFetch;
    delete globalThis.sessionStorage;
});

async function loadChat() {
    const chat = await load("chat.ts", "turns.ts");
    loaded.push(chat);
    return chat;
}

const socket = () => FakeWebSocket.at(-1);
const sent = () => socket().sent.at(-1);
const answerOf = (chat, column = 0) => chat.turns.value.at(-1).answers[column].value;
const refusal = (status, code) => new Response(JSON.stringify({ error: { message: code, code } }), { status });

/** Plays the server: an answer to the newest request of the lane, whole or without its end. */
function answer(texts, { lane = "left", response = "resp_1", whole = true } = {}) {
    const tell = (type, sequence_number, fields) =>
        socket().tell({ type, sequence_number, stream_id: lane, response_id: response, ...fields });
    tell("response.created", 0);
    texts.forEach((delta, i) => tell("response.output_text.delta", 5 + i, { delta }));
    if (whole) tell("response.completed", 99, { response: { status: "completed", usage: { output_tokens: 2 } } });
}

const refuse = (code, status = 400) =>
    socket().tell({ type: "error", code, status, message: code, stream_id: "left", event_id: sent().event_id });

const ready = {
    "/v1/health/ready": () => new Response('{"status":"ready"}'),
    "/v1/metadata": () => new Response('{"model":{"id":"solard-demo"}}'),
    "/v1/models": () => new Response('{"data":[]}'),
};

/** The HTTP side as a table from path to a function that makes the response. */
function serve(routes = ready) {
    const paths = [];
    globalThis.fetch = async (path) => {
        paths.push(path);
        return routes[path]();
    };
    return paths;
}

/** A chat whose first question opened the socket. */
async function chatThatAsked(text) {
    const chat = await loadChat();
    chat.send(text);
    socket().accept();
    return chat;
}

test("a conversation goes on with the earlier answers and the system prompt", async () => {
    const chat = await loadChat();
    chat.settings.value = { system: "Be brief.", temperature: 5, maxTokens: 32, compare: false };
    chat.send("  France? ");
    socket().accept();
    assert.equal(chat.announcement.value, "Waiting for the answer");
    answer(["Paris", "."]);
    assert.deepEqual([answerOf(chat).phase, answerOf(chat).text], ["complete", "Paris."]);
    assert.equal(chat.announcement.value, "Answer complete");
    assert.equal(chat.draft.value, "");
    chat.send("Italy?");
    const { instructions, input, temperature, max_output_tokens } = sent();
    assert.equal(instructions, "Be brief.");
    assert.deepEqual(input.map(({ content }) => content), ["France?", "Paris.", "Italy?"]);
    assert.equal(temperature, 2, "clamped to the range");
    assert.equal(max_output_tokens, 32);
});

test("stop ends the answer at once, keeps its text and tells the server", async () => {
    const chat = await chatThatAsked("story");
    answer(["Once"], { whole: false });
    assert.equal(chat.running.value, 1);
    chat.send("ignored while an answer runs");
    chat.stop();
    assert.deepEqual(sent(), { type: "response.cancel", stream_id: "left", queued: true });
    assert.deepEqual([answerOf(chat).phase, answerOf(chat).text], ["stopped", "Once"]);
    assert.deepEqual([chat.turns.value.length, chat.running.value], [1, 0]);
    assert.equal(chat.announcement.value, "Stopped");
});

test("with Compare each question runs on two lanes, each stopped by itself", async () => {
    const chat = await loadChat();
    chat.settings.value = { ...chat.settings.value, compare: true };
    chat.send("story");
    socket().accept();
    assert.deepEqual(socket().sent.map(({ stream_id }) => stream_id), ["left", "right"]);
    assert.notEqual(socket().sent[0].event_id, socket().sent[1].event_id);
    answer(["L"], { whole: false });
    answer(["R"], { lane: "right", response: "resp_2", whole: false });
    chat.stop(chat.turns.value[0].answers[1]);
    assert.equal(sent().stream_id, "right");
    assert.deepEqual([answerOf(chat, 0).phase, answerOf(chat, 1).phase], ["generating", "stopped"]);
    assert.equal(chat.running.value, 1);
    chat.stop();
    assert.equal(sent().stream_id, "left");
});

test("a failed answer is told, stays out of the conversation and can be asked again", async () => {
    const chat = await chatThatAsked("first");
    refuse("invalid_value");
    assert.deepEqual([answerOf(chat).phase, answerOf(chat).error], ["failed", "invalid_value"]);
    chat.send("second");
    assert.deepEqual(sent().input.map(({ content }) => content), ["second"]);
    answer(["half"], { whole: false });
    socket().tell({ type: "response.failed", sequence_number: 9, stream_id: "left", response: { status: "failed" } });
    const failed = answerOf(chat);
    assert.deepEqual([failed.phase, failed.text], ["failed", "half"]);

    chat.askAgain(chat.turns.value[1].answers[0]);
    assert.deepEqual(sent().input.map(({ content }) => content), ["second"]);
    assert.notEqual(sent().event_id, failed.id);
    answer(["whole"], { response: "resp_2" });
    assert.deepEqual([answerOf(chat).phase, answerOf(chat).text], ["complete", "whole"]);
});

test("a server that still loads is waited for, and then asked again", async () => {
    const paths = serve();
    const chat = await chatThatAsked("hello");
    refuse("server_starting", 503);
    assert.equal(chat.announcement.value, "The model is loading");
    await settled();
    assert.ok(paths.includes("/v1/health/ready"));
    assert.deepEqual(socket().sent.map(({ type }) => type), ["response.create", "response.create"]);
    assert.equal(sent().model, "solard-demo");
    answer(["now"]);
    assert.equal(answerOf(chat).text, "now");
});

test("a wrong key ends the waiting, since the server says so over HTTP", async () => {
    serve({ ...ready, "/v1/metadata": () => refusal(401), "/v1/models": () => refusal(401) });
    const chat = await loadChat();
    chat.send("hello");
    socket().drop();
    await settled();
    assert.equal(answerOf(chat).phase, "failed");
    assert.match(answerOf(chat).error, /API key/);
    assert.equal(FakeWebSocket.all.length, 1);
});

test("a server that answers but never opens a socket is told at last", async () => {
    serve();
    const realTimeout = globalThis.setTimeout;
    globalThis.setTimeout = (wake) => setImmediate(wake);
    const chat = await loadChat();
    chat.send("hello");
    for (let tries = 1; tries <= 5; tries++) {
        assert.equal(answerOf(chat).phase, "waiting");
        socket().drop();
        await settled();
        await settled();
    }
    globalThis.setTimeout = realTimeout;
    assert.match(answerOf(chat).error, /opens no WebSocket/);
    assert.equal(FakeWebSocket.all.length, 5);
});

test("new chat forgets the turns, and what still comes of them", async () => {
    const chat = await chatThatAsked("x");
    chat.newChat();
    assert.equal(sent().type, "response.cancel");
    assert.deepEqual(chat.turns.value, []);
    assert.equal(chat.announcement.value, "");
    answer(["late"]);
    assert.deepEqual(chat.turns.value, []);
});

test("a reload goes on where the page was left", async () => {
    const kept = new Map();
    globalThis.sessionStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
    const before = await chatThatAsked("story");
    answer(["Once"], { whole: false });
    before.keep();
    const chat = await loadChat();
    assert.deepEqual([answerOf(chat).phase, answerOf(chat).text], ["generating", "Once"]);
    chat.resume();
    socket().accept();
    const { type, response_id, starting_after } = sent();
    assert.deepEqual([type, response_id, starting_after], ["solar:attach", "resp_1", 5]);
    socket().tell({
        type: "response.output_text.delta",
        sequence_number: 6,
        stream_id: "left",
        response_id: "resp_1",
        delta: " upon",
    });
    assert.equal(answerOf(chat).text, "Once upon");
});

test("what is kept between milestones grows old together with its cursor", async () => {
    const kept = new Map();
    globalThis.sessionStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
    const chat = await chatThatAsked("story");
    answer(["Once", " upon", " a time"], { whole: false });
    const [turn] = JSON.parse([...kept.values()].at(-1));
    assert.deepEqual([turn.answers[0].text, turn.answers[0].cursor], ["Once", 5]);
    chat.stop();
    assert.equal(JSON.parse([...kept.values()].at(-1))[0].answers[0].text, "Once upon a time");
});
