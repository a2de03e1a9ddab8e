import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { Lanes } = await load("lanes.ts");
const step = (lane) => ({ kind: "step", lane });
const end = (lane) => ({ kind: "end", lane });
const error = (lane, id) => ({ kind: "error", lane, id });

test("events belong to the lane's first request until its end event", () => {
    const lanes = new Lanes();
    lanes.add("left", "one");
    lanes.add("left", "two");
    lanes.add("right", "three");
    assert.equal(lanes.take(step("left")), "one");
    assert.equal(lanes.take(step("right")), "three");
    assert.equal(lanes.take(end("left")), "one");
    assert.ok(!lanes.holds("one"));
    assert.equal(lanes.take(step("left")), "two");
    assert.equal(lanes.take(end("left")), "two");
    assert.equal(lanes.take(step("left")), undefined);
    assert.equal(lanes.take(step("unknown")), undefined);
});

test("an error removes only the request that it names", () => {
    const lanes = new Lanes();
    lanes.add("left", "one");
    lanes.add("left", "two");
    assert.equal(lanes.take(error("left", "two")), "two");
    assert.equal(lanes.take(error("left", "")), undefined, "an error of a message that is not a request");
    assert.equal(lanes.take(step("left")), "one");
    assert.deepEqual([lanes.holds("one"), lanes.holds("two")], [true, false]);
});

test("a lost socket empties every lane", () => {
    const lanes = new Lanes();
    lanes.add("left", "one");
    lanes.clear();
    assert.ok(!lanes.holds("one"));
    assert.equal(lanes.take(step("left")), undefined);
});
