// Tests the page in Chromium against real servers. SOLARD_URL serves the demonstration model. SOLARD_ENDLESS_URL serves a model
// whose answers take seconds; SOLARD_SINGLE_URL serves the same model, one answer at a time. SOLARD_LOCKED_URL requires one of
// the keys SOLARD_API_KEY and SOLARD_OTHER_KEY. Screenshots are written to the folder SOLARD_SCREENSHOTS.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { chromium } from "playwright-core";

const url = process.env.SOLARD_URL;
const endlessUrl = process.env.SOLARD_ENDLESS_URL;
const screenshotFolder = process.env.SOLARD_SCREENSHOTS;
assert.ok(url && endlessUrl, "SOLARD_URL and SOLARD_ENDLESS_URL must be set to the servers' URLs");

const flags = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

let browser;
let context;
let page;
let browserErrors;
let sent; // messages that the page's sockets sent

before(async () => {
    if (screenshotFolder) mkdirSync(screenshotFolder, { recursive: true });
    browser = await chromium.launch({
        executablePath: process.env.SOLARD_CHROMIUM ?? "/usr/bin/chromium",
        args: flags,
    });
});

after(() => browser?.close());

beforeEach(() => open());

async function open({ address = url, state = "ready", ...options } = {}) {
    await context?.close();
    context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: "light", ...options });
    // The console also shows violations of the content security policy, but only this event names the blocked address.
    await context.addInitScript(() => {
        document.addEventListener("securitypolicyviolation", (event) =>
            console.error(`CSP: ${event.violatedDirective} blocked ${event.blockedURI}`),
        );
    });
    page = await context.newPage();
    browserErrors = [];
    page.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) browserErrors.push(message.text());
    });
    page.on("pageerror", (error) => browserErrors.push(error.message));
    sent = [];
    page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => sent.push(JSON.parse(payload))));
    await page.goto(address);
    await page.locator(`.state.${state}`).waitFor();
}

afterEach(async () => {
    await context?.close();
    context = undefined;
    assert.deepEqual(browserErrors, [], "the browser reported errors");
});

const screenshot = (name) => screenshotFolder && page.screenshot({ path: join(screenshotFolder, `${name}.png`) });
const lastAnswer = () => page.locator(".turn").last().locator(".answer");
const inPhase = (phase) => lastAnswer().locator(`.phase.${phase}`).waitFor();

async function ask(question) {
    await page.getByLabel("Question").fill(question);
    await page.getByLabel("Question").press("Enter");
}

async function set(name, value) {
    const box = page.getByRole("spinbutton", { name });
    await box.fill(String(value));
    await box.press("Tab");
}

async function untilIdle(address = endlessUrl) {
    const deadline = Date.now() + 60_000;
    for (;;) {
        const { engine } = await (await fetch(`${address}/v1/metadata`)).json();
        if (engine.num_running + engine.num_waiting === 0) return;
        assert.ok(Date.now() < deadline, "the engine did not become idle");
    }
}

/** Starts a proxy to the server. cut() breaks all open connections; later connections work again. */
async function cuttable(address) {
    const { hostname, port } = new URL(address);
    const ends = new Set();
    const proxy = createServer((near) => {
        const far = connect(port, hostname);
        near.pipe(far).pipe(near);
        for (const end of [near, far]) {
            ends.add(end);
            end.on("error", () => undefined);
            end.on("close", () => ends.delete(end));
        }
    });
    await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const cut = () => ends.forEach((end) => end.destroy());
    return { address: `http://127.0.0.1:${proxy.address().port}`, cut, close: () => proxy.close(cut()) };
}

/** Reloads the page with a changed last answer in the tab's storage, as if the page had been left at another moment. */
async function reloadWithAnswer(fields) {
    // The script runs after the old page has stored its turns and before the new page loads them.
    const script = await page.addInitScript((changes) => {
        const key = "solard.conversation";
        const turns = JSON.parse(sessionStorage.getItem(key));
        Object.assign(turns.at(-1).answers[0], changes);
        sessionStorage.setItem(key, JSON.stringify(turns));
    }, fields);
    await page.reload();
    await script.dispose();
}

test("a question gets a streamed answer with its figures", async () => {
    await screenshot("desktop-empty");
    await set("Temperature", 0);
    await ask("What is the capital of France?");
    await inPhase("complete");
    const [{ type, temperature, input, solar }] = sent;
    assert.deepEqual([type, temperature], ["response.create", 0]);
    assert.deepEqual(input, [{ role: "user", content: "What is the capital of France?" }]);
    assert.ok(solar.resumable);

    assert.match(await lastAnswer().locator(".text").innerText(), /Paris/);
    const figures = await lastAnswer().locator(".figures").innerText();
    assert.match(figures, /TTFT/);
    assert.match(figures, /\d tokens?/);
    assert.match(figures, /tok\/s/);
    assert.match(figures, /seed \d/);
    assert.equal(await page.getByRole("status").innerText(), "Answer complete");
    await screenshot("desktop");

    await ask("And of Italy?");
    await inPhase("complete");
    assert.deepEqual(sent.at(-1).input.map(({ role }) => role), ["user", "assistant", "user"]);
    assert.equal(await page.locator(".turn").count(), 2);
});

test("a server that requires a key gets it from the settings, and the page stores it", async () => {
    await open({ address: process.env.SOLARD_LOCKED_URL, state: "locked" });
    await screenshot("locked");
    await page.getByLabel("API key").fill("wrong");
    await page.getByLabel("API key").press("Tab");
    await page.locator(".state.locked").waitFor();
    await page.getByLabel("API key").fill(process.env.SOLARD_API_KEY);
    await page.getByLabel("API key").press("Tab");
    await page.locator(".state.ready").waitFor();
    await set("Temperature", 0);
    await ask("What is the capital of France?");
    await inPhase("complete");
    assert.match(await lastAnswer().locator(".text").innerText(), /Paris/);
    await page.reload();
    await page.locator(".state.ready").waitFor();
    assert.ok(!page.url().includes(process.env.SOLARD_API_KEY));
    // The browser reports each response with status 401 as an error.
    browserErrors = browserErrors.filter((error) => !error.includes("401"));
});

test("Stop ends a long answer, keeps its text and frees the server", async () => {
    await open({ address: endlessUrl });
    await set("Max tokens", 3500);
    await ask("Go on.");
    await inPhase("generating");
    await screenshot("generating");
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await inPhase("stopped");
    const written = await lastAnswer().locator(".text").innerText();
    assert.match(written, /^a+$/);
    assert.equal(await page.getByRole("status").innerText(), "Stopped");
    await untilIdle();

    // The user can ask the next question immediately, and its answer adds no text to the stopped answer.
    await set("Max tokens", 5);
    await ask("Again.");
    await inPhase("complete");
    assert.equal(await lastAnswer().locator(".text").innerText(), "aaaaa");
    assert.match(await lastAnswer().locator(".figures").innerText(), /Max tokens reached/);
    assert.equal(await page.locator(".turn").first().locator(".text").innerText(), written);
});

test("Escape stops the answer, and New chat removes the turns", async () => {
    await open({ address: endlessUrl });
    await set("Max tokens", 3500);
    await ask("Go on.");
    await inPhase("generating");
    await page.keyboard.press("Escape");
    await inPhase("stopped");
    await untilIdle();
    await page.getByRole("button", { name: "New chat" }).click();
    assert.equal(await page.locator(".turn").count(), 0);
});

test("Shift+Enter adds a line", async () => {
    const box = page.getByLabel("Question");
    await box.fill("one");
    await box.press("Shift+Enter");
    await box.pressSequentially("two");
    assert.equal(await box.inputValue(), "one\ntwo");
    assert.equal(await page.locator(".turn").count(), 0);
});

test("settings survive a reload", async () => {
    await set("Temperature", 0);
    await page.getByText("System prompt").click();
    await page.getByLabel("System prompt").fill("Be brief.");
    await page.reload();
    assert.equal(await page.getByRole("spinbutton", { name: "Temperature" }).inputValue(), "0");
    assert.equal(await page.getByRole("slider", { name: "Temperature" }).inputValue(), "0");
    assert.equal(await page.getByLabel("System prompt").inputValue(), "Be brief.");
});

test("an error is shown in an alert, and the question can be asked again", async () => {
    await ask("word ".repeat(5000));
    await inPhase("failed");
    assert.match(await page.getByRole("alert").innerText(), /context/);
    await screenshot("failed");
    await page.getByRole("button", { name: "Ask again" }).click();
    await inPhase("failed");
    assert.deepEqual(sent.map(({ type }) => type), ["response.create", "response.create"]);
    assert.notEqual(sent[0].event_id, sent[1].event_id);
});

test("a waiting answer shows how much of the prompt is read", async () => {
    await open({ address: endlessUrl });
    await set("Max tokens", 5);
    await ask("word ".repeat(3500));
    await lastAnswer().getByText(/Reading the prompt: \d+ %/).waitFor();
    await screenshot("reading");
    await inPhase("complete");
});

test("an answer survives a reload, without a gap and without a repetition", async () => {
    await open({ address: endlessUrl });
    await set("Max tokens", 600);
    await ask("Go on.");
    await lastAnswer().getByText(/aaaaa/).waitFor();
    await page.reload();
    await lastAnswer().getByText(/aaaaa/).waitFor();
    await screenshot("resumed");
    await inPhase("complete");
    const [create, attach, ...more] = sent;
    assert.deepEqual([create.type, attach.type, more.length], ["response.create", "solar:attach", 0]);
    assert.ok(attach.starting_after > 0);
    assert.equal(await lastAnswer().locator(".text").innerText(), "a".repeat(600));
    assert.match(await lastAnswer().locator(".figures").innerText(), /600 tokens/);

    await page.reload();
    await inPhase("complete");
    assert.equal(await lastAnswer().locator(".text").innerText(), "a".repeat(600));
    assert.equal(sent.length, 2, "the page sends no message for a finished answer");
});

test("an answer survives a lost connection, without a gap and without a repetition", async () => {
    const network = await cuttable(endlessUrl);
    try {
        await open({ address: network.address });
        await set("Max tokens", 600);
        await ask("Go on.");
        await lastAnswer().getByText(/aaaaa/).waitFor();
        network.cut();
        await lastAnswer().getByText("Reconnecting").waitFor();
        await screenshot("reconnecting");
        await inPhase("complete");
        assert.equal(await lastAnswer().locator(".text").innerText(), "a".repeat(600));
        assert.deepEqual(sent.map(({ type }) => type), ["response.create", "solar:attach"]);
    } finally {
        network.close();
    }
});

test("a running answer resumes with its own key and with no other key", async () => {
    const key = process.env.SOLARD_API_KEY;
    await open({ address: process.env.SOLARD_LOCKED_URL, state: "locked" });
    const unlock = async (value) => {
        await page.getByLabel("API key").fill(value);
        await page.getByLabel("API key").press("Tab");
        await page.locator(".state.ready").waitFor();
    };
    await unlock(key);
    await set("Temperature", 0);
    await ask("What is the capital of France?");
    await inPhase("complete");
    const left = { phase: "generating", text: "", cursor: -1 };
    await reloadWithAnswer(left);
    await inPhase("complete");
    assert.equal(sent.at(-1).type, "solar:attach");
    assert.match(await lastAnswer().locator(".text").innerText(), /Paris/);

    await unlock(process.env.SOLARD_OTHER_KEY);
    await reloadWithAnswer(left);
    await inPhase("failed");
    assert.match(await page.getByRole("alert").innerText(), /no longer has this answer/);
    await screenshot("gone");
    await page.getByRole("button", { name: "Ask again" }).click();
    await inPhase("complete");
    assert.match(await lastAnswer().locator(".text").innerText(), /Paris/);
    browserErrors = browserErrors.filter((error) => !error.includes("401"));
});

test("a page of another origin cannot open a socket", async () => {
    const foreign = createHttpServer((_, answer) => answer.end("<!doctype html><title>Another page</title>"));
    await new Promise((resolve) => foreign.listen(0, "127.0.0.1", resolve));
    try {
        const tab = await context.newPage();
        await tab.goto(`http://127.0.0.1:${foreign.address().port}/`);
        const opens = (from) =>
            from.evaluate(
                (address) =>
                    new Promise((resolve) => {
                        const socket = new WebSocket(address, ["solar.responses.v1"]);
                        socket.onopen = () => resolve(true);
                        socket.onerror = () => resolve(false);
                    }),
                `${url.replace("http", "ws")}/v1/responses`,
            );
        assert.equal(await opens(page), true);
        assert.equal(await opens(tab), false);
    } finally {
        foreign.close();
        foreign.closeAllConnections();
    }
});

test("two answers stand side by side, and each can be stopped alone", async () => {
    await open({ address: endlessUrl });
    await set("Max tokens", 3500);
    await page.getByRole("button", { name: "Compare" }).click();
    await ask("Go on.");
    const [first, second] = [1, 2].map((n) => page.getByRole("group", { name: `Answer ${n}` }));
    for (const answer of [first, second]) await answer.getByText(/aaa/).waitFor();
    await screenshot("compare");
    const [left, right] = await Promise.all([first, second].map((answer) => answer.boundingBox()));
    assert.ok(Math.abs(left.y - right.y) < 1 && left.x + left.width < right.x, "two columns");

    await page.getByRole("button", { name: "Stop answer 1" }).click();
    await first.locator(".phase.stopped").waitFor();
    await second.locator(".phase.generating").waitFor();
    assert.match(await page.getByRole("status").innerText(), /Answer 1: Stopped. Answer 2: Generating/);
    await page.reload();
    await second.locator(".phase.generating").waitFor();
    await screenshot("compare-one-stopped");
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await second.locator(".phase.stopped").waitFor();
    await untilIdle();

    await page.setViewportSize({ width: 390, height: 844 });
    const [above, below] = await Promise.all([first, second].map((answer) => answer.boundingBox()));
    assert.ok(above.x === below.x && above.y + above.height < below.y, "one column");
});

test("an answer in the queue shows its position and can be stopped", async () => {
    const address = process.env.SOLARD_SINGLE_URL;
    await open({ address });
    await set("Max tokens", 3500);
    await page.getByRole("button", { name: "Compare" }).click();
    await ask("Go on.");
    await page.locator(".phase.generating").waitFor();
    await page.getByText("Waiting, 1st in the queue").waitFor();
    await screenshot("queue");
    const waiting = page.locator(".answer", { has: page.locator(".phase.waiting") });
    await waiting.getByRole("button").click();
    await page.locator(".phase.stopped").waitFor();
    await page.locator(".phase.generating").waitFor();
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await untilIdle(address);
});

test("the page fits a phone, where Enter adds a line", async () => {
    await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
    await screenshot("mobile-empty");
    const box = page.getByLabel("Question");
    await box.fill("What is the capital of France?");
    await box.press("Enter");
    assert.equal(await page.locator(".turn").count(), 0);
    await box.press("Backspace");
    await page.getByRole("button", { name: "Send" }).click();
    await inPhase("complete");
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `the page is ${overflow} pixels wider than the screen`);
    await screenshot("mobile");
    await page.getByRole("button", { name: "Settings" }).click();
    await screenshot("mobile-settings");
});

test("the page follows the dark colour scheme", async () => {
    await open({ colorScheme: "dark" });
    await ask("Tell me a story about a fox.");
    await inPhase("complete");
    const [red] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
    assert.ok(red < 64, "the background is dark");
    await screenshot("dark");
});
