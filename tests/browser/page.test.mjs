// The page in a real browser against real servers: SOLARD_URL has a model that answers, SOLARD_ENDLESS_URL one whose
// answers go on for seconds. Pictures go to the folder SOLARD_SCREENSHOTS.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { chromium } from "playwright-core";

const url = process.env.SOLARD_URL;
const endlessUrl = process.env.SOLARD_ENDLESS_URL;
const pictures = process.env.SOLARD_SCREENSHOTS;
assert.ok(url && endlessUrl, "SOLARD_URL and SOLARD_ENDLESS_URL must name the servers");

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
let complaints;

before(async () => {
    if (pictures) mkdirSync(pictures, { recursive: true });
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
    // Violations are also written to the console, but the event names what was blocked.
    await context.addInitScript(() => {
        document.addEventListener("securitypolicyviolation", (event) =>
            console.error(`CSP: ${event.violatedDirective} blocked ${event.blockedURI}`),
        );
    });
    page = await context.newPage();
    complaints = [];
    page.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(address);
    await page.locator(`.state.${state}`).waitFor();
}

afterEach(async () => {
    await context?.close();
    context = undefined;
    assert.deepEqual(complaints, [], "the browser complained");
});

const picture = (name) => pictures && page.screenshot({ path: join(pictures, `${name}.png`) });
const lastAnswer = () => page.locator(".turn").last().locator(".answer");
const inPhase = (phase) => lastAnswer().locator(`.phase.${phase}`).waitFor();

async function ask(question) {
    await page.getByLabel("Message").fill(question);
    await page.getByLabel("Message").press("Enter");
}

async function set(name, value) {
    const box = page.getByRole("spinbutton", { name });
    await box.fill(String(value));
    await box.press("Tab");
}

async function untilIdle() {
    const deadline = Date.now() + 60_000;
    for (;;) {
        const { engine } = await (await fetch(`${endlessUrl}/v1/metadata`)).json();
        if (engine.num_running === 0) return;
        assert.ok(Date.now() < deadline, "the engine went on");
    }
}

test("a question gets a streamed answer with its figures", async () => {
    await picture("desktop-empty");
    await set("Temperature", 0);
    const [request] = await Promise.all([
        page.waitForRequest("**/v1/chat/completions"),
        ask("What is the capital of France?"),
    ]);
    const body = request.postDataJSON();
    assert.equal(body.stream, true);
    assert.equal(body.temperature, 0);
    assert.deepEqual(body.messages, [{ role: "user", content: "What is the capital of France?" }]);

    await inPhase("complete");
    assert.match(await lastAnswer().locator(".text").innerText(), /Paris/);
    const figures = await lastAnswer().locator(".figures").innerText();
    assert.match(figures, /TTFT/);
    assert.match(figures, /\d tokens?/);
    assert.doesNotMatch(figures, /≈/, "the final figures use the server's count");
    assert.equal(await page.getByRole("status").innerText(), "Answer complete");
    await picture("desktop");
});

test("a server that wants a key gets it from the settings, and the page keeps it", async () => {
    await open({ address: process.env.SOLARD_LOCKED_URL, state: "locked" });
    await picture("locked");
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
    // The browser reports each 401 as an error of its own.
    complaints = complaints.filter((complaint) => !complaint.includes("401"));
});

test("Stop ends a long answer, keeps what was written and frees the server", async () => {
    await open({ address: endlessUrl });
    await set("Max tokens", 3500);
    await ask("Go on.");
    await inPhase("generating");
    await picture("generating");
    await page.getByRole("button", { name: "Stop" }).click();
    await inPhase("stopped");
    const written = await lastAnswer().locator(".text").innerText();
    assert.match(written, /^a+$/);
    assert.equal(await page.getByRole("status").innerText(), "Stopped");
    await untilIdle();

    // The page is usable at once, and the next answer does not grow the stopped one.
    await set("Max tokens", 5);
    await ask("Again.");
    await inPhase("complete");
    assert.equal(await lastAnswer().locator(".text").innerText(), "aaaaa");
    assert.match(await lastAnswer().locator(".figures").innerText(), /max tokens reached/);
    assert.equal(await page.locator(".turn").first().locator(".text").innerText(), written);
});

test("Escape stops, New chat clears", async () => {
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

test("Shift+Enter writes a new line", async () => {
    const box = page.getByLabel("Message");
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

test("an error is told in an alert", async () => {
    await page.route("**/v1/chat/completions", (route) =>
        route.fulfill({ status: 200, contentType: "text/event-stream", body: 'data: {"error":{"message":"It broke."}}\n\n' }),
    );
    await ask("What is the capital of France?");
    await inPhase("failed");
    assert.equal(await page.getByRole("alert").innerText(), "It broke.");
});

test("it fits a phone, where Enter writes a new line", async () => {
    await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
    await picture("mobile-empty");
    const box = page.getByLabel("Message");
    await box.fill("What is the capital of France?");
    await box.press("Enter");
    assert.equal(await page.locator(".turn").count(), 0);
    await box.press("Backspace");
    await page.getByRole("button", { name: "Send" }).click();
    await inPhase("complete");
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `the page is ${overflow} pixels wider than the screen`);
    await picture("mobile");
    await page.getByRole("button", { name: "Settings" }).click();
    await picture("mobile-settings");
});

test("it follows the dark scheme", async () => {
    await open({ colorScheme: "dark" });
    await ask("Tell me a story about a fox.");
    await inPhase("complete");
    const [red] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
    assert.ok(red < 64, "the background is dark");
    await picture("dark");
});
