import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { FakeClock, FakeWebSocket, settled, useFakeSockets } from "./fake_socket.mjs";
import { load } from "./load.mjs";

const { begin, change, isRunning } = await load("answer.ts");
const { Exchange } = await load("exchange.ts");

let clock;
let answers;
let owner;
let exchange;

const request = (prompt) => ({ model: "m", input: [{ role: "user", content: prompt }], temperature: 0, max_output_tokens: 5 });

beforeEach(() => {
    useFakeSockets();
    clock = new FakeClock();
    answers = new Map();
    owner = {
        isConnected: undefined,
        log: [],
        apiKey: () => "",
        running: () =>
            [...answers.values()]
                .filter(({ answer }) => isRunning(answer))
                .map(({ lane, answer }) => ({ lane, answer, request: () => request(answer.id) })),
        received(id, event) {
            owner.log.push([id, event.kind]);
            const slot = answers.get(id);
            slot.answer = change(slot.answer, event, clock.time);
        },
        handshakeFailed: async () => undefined,
        connected: (is) => (owner.isConnected = is),
    };
    exchange = new Exchange(owner, clock);
});

const socket = () => FakeWebSocket.at(-1);
const types = () => socket().sent.map(({ type, stream_id }) => `${type} ${stream_id}`);
const of = (lane, response) => ({ stream_id: lane, response_id: response });
const created = (lane, response) =>
    socket().deliver({ ...of(lane, response), type: "response.created", sequence_number: 0 });
const delta = (lane, response, number, text) =>
    socket().deliver({ ...of(lane, response), type: "response.output_text.delta", sequence_number: number, delta: text });
const completed = (lane, response, number) =>
    socket().deliver({
        ...of(lane, response),
        type: "response.completed",
        sequence_number: number,
        response: { status: "completed" },
    });
const refuse = (lane, id, code) => socket().deliver({ type: "error", code, message: code, stream_id: lane, event_id: id });

function ask(lane, id) {
    answers.set(id, { lane, answer: begin(id, clock.time) });
    exchange.requestRunning();
}

async function lose() {
    socket().drop();
    await settled();
    await clock.pass(clock.lastPause);
}

test("the first question opens the socket, and the next one uses it again", async () => {
    ask("left", "one");
    assert.deepEqual(types(), []);
    socket().accept();
    assert.equal(owner.isConnected, true);
    assert.deepEqual(types(), ["response.create left"]);
    assert.equal(socket().sent[0].input[0].content, "one");
    created("left", "resp_1");
    completed("left", "resp_1", 8);
    assert.equal(answers.get("one").answer.phase, "complete");
    ask("left", "two");
    assert.equal(FakeWebSocket.all.length, 1);
    assert.deepEqual(types(), ["response.create left", "response.create left"]);
    completed("left", "resp_2", 8);
    await lose();
    assert.equal(FakeWebSocket.all.length, 1, "no answer runs, so no socket is opened");
    assert.equal(owner.isConnected, false);
});

test("two lanes run at the same time, each with its own events", () => {
    ask("left", "one");
    ask("right", "two");
    socket().accept();
    assert.deepEqual(types(), ["response.create left", "response.create right"]);
    created("right", "resp_2");
    created("left", "resp_1");
    delta("left", "resp_1", 5, "L");
    delta("right", "resp_2", 5, "R");
    completed("left", "resp_1", 9);
    delta("right", "resp_2", 6, "R");
    const [left, right] = ["one", "two"].map((id) => answers.get(id).answer);
    assert.deepEqual([left.text, left.phase, right.text, right.phase], ["L", "complete", "RR", "generating"]);
});

test("after a lost connection each answer resumes behind its last event", async () => {
    ask("left", "one");
    ask("right", "two");
    socket().accept();
    created("left", "resp_1");
    delta("left", "resp_1", 7, "Once");
    await lose();
    assert.equal(FakeWebSocket.all.length, 2);
    assert.equal(owner.isConnected, false);
    socket().accept();
    // The page cannot know whether the request on the lane `right` arrived. For one idempotency key, the server runs a
    // request only once.
    assert.deepEqual(types(), ["solar:attach left", "response.create right"]);
    const [attach, again] = socket().sent;
    assert.deepEqual([attach.response_id, attach.starting_after, attach.event_id], ["resp_1", 7, "one"]);
    assert.equal(again.solar.idempotency_key, FakeWebSocket.at(0).sent[1].solar.idempotency_key);
    delta("left", "resp_1", 8, " upon");
    completed("left", "resp_1", 12);
    assert.equal(answers.get("one").answer.text, "Once upon");
});

test("an answer from before a reload is attached to, from its last event on", () => {
    const left = { ...begin("one", 0), phase: "generating", responseId: "resp_1", cursor: 41, text: "so far" };
    answers.set("one", { lane: "left", answer: left });
    exchange.requestRunning();
    socket().accept();
    assert.deepEqual([socket().sent[0].type, socket().sent[0].starting_after], ["solar:attach", 41]);
    refuse("left", "one", "response_not_found");
    assert.match(answers.get("one").answer.error, /no longer has this answer/);
    ask("left", "two");
    created("left", "resp_2");
    assert.equal(answers.get("two").answer.responseId, "resp_2", "the lane is free again");
});

test("late events of a stopped answer do not reach the next answer on its lane", () => {
    ask("left", "one");
    socket().accept();
    created("left", "resp_1");
    exchange.cancel("left");
    assert.deepEqual(socket().sent[1], { type: "response.cancel", stream_id: "left", queued: true });
    answers.get("one").answer = { ...answers.get("one").answer, phase: "stopped" };
    ask("left", "two");
    delta("left", "resp_1", 5, "late");
    completed("left", "resp_1", 9);
    created("left", "resp_2");
    delta("left", "resp_2", 5, "own");
    assert.deepEqual([answers.get("two").answer.text, answers.get("two").answer.responseId], ["own", "resp_2"]);
});

test("a request is sent only once on one socket", () => {
    ask("left", "one");
    socket().accept();
    exchange.requestRunning();
    assert.deepEqual(types(), ["response.create left"]);
});

test("a request refused on a socket that is too old is sent again on the next socket", async () => {
    ask("left", "one");
    socket().accept();
    refuse("left", "one", "websocket_connection_limit_reached");
    assert.deepEqual(owner.log, []);
    await lose();
    socket().accept();
    assert.deepEqual(types(), ["response.create left"]);
    assert.equal(answers.get("one").answer.phase, "waiting");
});

test("an error that belongs to no request ends no answer", () => {
    ask("left", "one");
    socket().accept();
    socket().deliver({ type: "error", code: "response_already_completed", message: "x", stream_id: "left" });
    socket().deliver({ type: "error", code: "invalid_json", message: "x" });
    socket().deliver({ type: "solar:session", model: "m" });
    assert.deepEqual(owner.log, []);
});

test("a changed key opens a new socket and attaches to the running answer", async () => {
    ask("left", "one");
    socket().accept();
    created("left", "resp_1");
    owner.apiKey = () => "other";
    exchange.reconnect();
    await lose();
    assert.equal(socket().protocols[1], "openai-insecure-api-key.other");
    socket().accept();
    assert.deepEqual(types(), ["solar:attach left"]);
});
