import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { FakeWebSocket, settled, useFakeSockets } from "./fake_socket.mjs";
import { load } from "./load.mjs";

const realFetch = globalThis.fetch;
const loaded = [];
beforeEach(useFakeSockets);
afterEach(() => {
    for (const chat of loaded.splice(0)) chat.stop(); // A running answer's timer would keep node from exiting.
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
const errorResponse = (status, code) => new Response(JSON.stringify({ error: { message: code, code } }), { status });

/** Acts as the server: sends the events of an answer on the lane (stream_id). The end event is sent only if `whole` is
    true. */
function answer(texts, { lane = "left", response = "resp_1", whole = true } = {}) {
    const deliver = (type, sequence_number, fields) =>
        socket().deliver({ type, sequence_number, stream_id: lane, response_id: response, ...fields });
    deliver("response.created", 0);
    texts.forEach((delta, i) => deliver("response.output_text.delta", 5 + i, { delta }));
    if (whole) deliver("response.completed", 99, { response: { status: "completed", usage: { output_tokens: 2 } } });
}

const refuse = (code, status = 400) =>
    socket().deliver({ type: "error", code, status, message: code, stream_id: "left", event_id: sent().event_id });

const ready = {
    "/v1/health/ready": () => new Response('{"status":"ready"}'),
    "/v1/metadata": () => new Response('{"model":{"id":"solard-demo"}}'),
    "/v1/models": () => new Response('{"data":[]}'),
};

/** Replaces fetch. `routes` has, for each path, a function that makes the response. Returns the list of requested
    paths, which grows with each call. */
function serve(routes = ready) {
    const paths = [];
    globalThis.fetch = async (path) => {
        paths.push(path);
        return routes[path]();
    };
    return paths;
}

/** Returns a chat whose first question has opened the socket. */
async function chatThatAsked(text) {
    const chat = await loadChat();
    chat.send(text);
    socket().accept();
    return chat;
}

test("a request holds the system prompt and the earlier turns", async () => {
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

test("stop ends the answer at once, keeps its text and cancels the request", async () => {
    const chat = await chatThatAsked("story");
    answer(["Once"], { whole: false });
    assert.equal(chat.numRunning.value, 1);
    chat.send("ignored while an answer runs");
    chat.stop();
    assert.deepEqual(sent(), { type: "response.cancel", stream_id: "left", queued: true });
    assert.deepEqual([answerOf(chat).phase, answerOf(chat).text], ["stopped", "Once"]);
    assert.deepEqual([chat.turns.value.length, chat.numRunning.value], [1, 0]);
    assert.equal(chat.announcement.value, "Stopped");
});

test("Compare sends each question on two lanes, and each answer can be stopped alone", async () => {
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
    assert.equal(chat.numRunning.value, 1);
    chat.stop();
    assert.equal(sent().stream_id, "left");
});

test("a failed answer shows its error, is left out of later requests and can be asked again", async () => {
    const chat = await chatThatAsked("first");
    refuse("invalid_value");
    assert.deepEqual([answerOf(chat).phase, answerOf(chat).error], ["failed", "invalid_value"]);
    chat.send("second");
    assert.deepEqual(sent().input.map(({ content }) => content), ["second"]);
    answer(["half"], { whole: false });
    socket().deliver({ type: "response.failed", sequence_number: 9, stream_id: "left", response: { status: "failed" } });
    const failed = answerOf(chat);
    assert.deepEqual([failed.phase, failed.text], ["failed", "half"]);

    chat.askAgain(chat.turns.value[1].answers[0]);
    assert.deepEqual(sent().input.map(({ content }) => content), ["second"]);
    assert.notEqual(sent().event_id, failed.id);
    answer(["whole"], { response: "resp_2" });
    assert.deepEqual([answerOf(chat).phase, answerOf(chat).text], ["complete", "whole"]);
});

test("a request to a server that is still loading is sent again once the server is ready", async () => {
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

test("an invalid key fails the waiting answers, because the server reports it over HTTP", async () => {
    serve({ ...ready, "/v1/metadata": () => errorResponse(401), "/v1/models": () => errorResponse(401) });
    const chat = await loadChat();
    chat.send("hello");
    socket().drop();
    await settled();
    assert.equal(answerOf(chat).phase, "failed");
    assert.match(answerOf(chat).error, /API key/);
    assert.equal(FakeWebSocket.all.length, 1);
});

test("an answer fails if the server is reachable but no WebSocket can be opened", async () => {
    serve();
    const realTimeout = globalThis.setTimeout;
    globalThis.setTimeout = (wake) => setImmediate(wake);
    const chat = await loadChat();
    chat.send("hello");
    for (let attempt = 1; attempt <= 5; attempt++) {
        assert.equal(answerOf(chat).phase, "waiting");
        socket().drop();
        await settled();
        await settled();
    }
    globalThis.setTimeout = realTimeout;
    assert.match(answerOf(chat).error, /no WebSocket could be opened/);
    assert.equal(FakeWebSocket.all.length, 5);
});

test("a new chat discards the turns and ignores their late events", async () => {
    const chat = await chatThatAsked("x");
    chat.newChat();
    assert.equal(sent().type, "response.cancel");
    assert.deepEqual(chat.turns.value, []);
    assert.equal(chat.announcement.value, "");
    answer(["late"]);
    assert.deepEqual(chat.turns.value, []);
});

test("a reload resumes the running answer", async () => {
    const kept = new Map();
    globalThis.sessionStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
    const before = await chatThatAsked("story");
    answer(["Once"], { whole: false });
    before.saveChat();
    const chat = await loadChat();
    assert.deepEqual([answerOf(chat).phase, answerOf(chat).text], ["generating", "Once"]);
    chat.resume();
    socket().accept();
    const { type, response_id, starting_after } = sent();
    assert.deepEqual([type, response_id, starting_after], ["solar:attach", "resp_1", 5]);
    socket().deliver({
        type: "response.output_text.delta",
        sequence_number: 6,
        stream_id: "left",
        response_id: "resp_1",
        delta: " upon",
    });
    assert.equal(answerOf(chat).text, "Once upon");
});

test("the stored text always matches its stored cursor", async () => {
    const kept = new Map();
    globalThis.sessionStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
    const chat = await chatThatAsked("story");
    answer(["Once", " upon", " a time"], { whole: false });
    const [turn] = JSON.parse([...kept.values()].at(-1));
    assert.deepEqual([turn.answers[0].text, turn.answers[0].cursor], ["Once", 5]);
    chat.stop();
    assert.equal(JSON.parse([...kept.values()].at(-1))[0].answers[0].text, "Once upon a time");
});
