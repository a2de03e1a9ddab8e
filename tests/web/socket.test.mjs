import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { FakeClock, FakeWebSocket, settled, useFakeSockets } from "./fake_socket.mjs";
import { load } from "./load.mjs";

const { Socket } = await load("socket.ts");

let clock;
let owner;
let socket;

beforeEach(() => {
    useFakeSockets();
    clock = new FakeClock();
    owner = {
        isWanted: true,
        key: "",
        log: [],
        wanted: () => owner.isWanted,
        apiKey: () => owner.key,
        opened: () => owner.log.push("opened"),
        received: (data) => owner.log.push(data),
        closed: () => owner.log.push("closed"),
        handshakeFailed: async (failures) => void owner.log.push(`handshake failed ${failures}`),
    };
    socket = new Socket(owner, clock);
});

const newest = () => FakeWebSocket.at(-1);
const count = () => FakeWebSocket.all.length;

async function lose() {
    newest().drop();
    await settled();
}

test("the socket connects to the page's server and offers the protocol, with the key as a second entry", () => {
    owner.key = "sk-solard-1_a";
    socket.open();
    assert.equal(newest().address, "ws://127.0.0.1:8000/v1/responses");
    assert.deepEqual(newest().protocols, ["solar.responses.v1", "openai-insecure-api-key.sk-solard-1_a"]);
    socket.open();
    assert.equal(count(), 1, "a connection attempt is already running");
});

test("without a key only the protocol is offered", () => {
    socket.open();
    assert.deepEqual(newest().protocols, ["solar.responses.v1"]);
});

test("the socket sends while it is open and passes on received messages", () => {
    socket.open();
    socket.send({ type: "lost" });
    assert.ok(!socket.isOpen);
    newest().accept();
    assert.ok(socket.isOpen);
    socket.send({ type: "kept" });
    newest().deliver({ a: 1 });
    newest().drop();
    socket.send({ type: "lost" });
    assert.deepEqual(newest().sent, [{ type: "kept" }]);
    assert.deepEqual(owner.log, ["opened", '{"a":1}', "closed"]);
});

test("an unwanted socket is neither opened nor reconnected", async () => {
    owner.isWanted = false;
    socket.open();
    assert.equal(count(), 0);
    owner.isWanted = true;
    socket.open();
    newest().accept();
    owner.isWanted = false;
    await lose();
    assert.equal(clock.sleeps.length, 0);
    owner.isWanted = true;
    socket.open();
    assert.equal(count(), 2);
});

test("the pauses grow up to a limit, and chance shortens them by at most half", async () => {
    socket.open();
    const pauses = [];
    for (let i = 0; i < 6; i++) {
        await lose();
        pauses.push(clock.lastPause);
        await clock.pass(clock.lastPause);
    }
    assert.deepEqual(pauses, [1000, 2000, 4000, 8000, 8000, 8000]);
    clock.chance = 1;
    await lose();
    assert.equal(clock.lastPause, 4000);
});

test("the loss of a stable connection is followed by a short pause; after short connections the pauses grow", async () => {
    socket.open();
    for (const [time, pause] of [[60_000, 500], [0, 1000], [9_999, 2000], [10_000, 500]]) {
        newest().accept();
        await clock.pass(time);
        await lose();
        assert.equal(clock.lastPause, pause, `after ${time} ms`);
        await clock.pass(pause);
    }
    assert.ok(!owner.log.some((entry) => entry.startsWith("handshake failed")));
});

test("after a failed handshake the next attempt waits for the owner", async () => {
    let answer;
    owner.handshakeFailed = (failures) => {
        owner.log.push(failures);
        return new Promise((resolve) => (answer = resolve));
    };
    socket.open();
    await lose();
    assert.deepEqual([owner.log, clock.sleeps.length], [["closed", 1], 0]);
    answer();
    await settled();
    await clock.pass(1000);
    assert.equal(count(), 2);
    await lose();
    assert.deepEqual(owner.log, ["closed", 1, "closed", 2]);
    owner.isWanted = false;
    answer();
    await settled();
    await clock.pass(2000);
    assert.equal(count(), 2, "the owner gave up");
});

test("a key that a header cannot carry counts as a failed handshake", async () => {
    owner.key = "a b";
    socket.open();
    await settled();
    assert.deepEqual(owner.log, ["handshake failed 1"]);
    owner.key = "right";
    await clock.pass(1000);
    assert.deepEqual(newest().protocols.at(-1), "openai-insecure-api-key.right");
});

test("open() ends a pause", async () => {
    socket.open();
    await lose();
    assert.equal(count(), 1);
    socket.open();
    await settled();
    assert.equal(count(), 2);
});

test("after close() a wanted socket connects again with the current key", async () => {
    socket.open();
    newest().accept();
    owner.key = "other";
    socket.close();
    assert.ok(!socket.isOpen);
    await lose();
    await clock.pass(1000);
    assert.deepEqual(newest().protocols.at(-1), "openai-insecure-api-key.other");
});
