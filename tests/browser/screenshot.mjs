// Makes web/screenshot.png, the picture of the page in README.md and web/README.md: two questions with their finished answers.
// The script starts the server with the demonstration model on a free port and stops it at the end. It needs the
// packages of tests/browser, which `ctest --test-dir build/release -R clients.browser` installs in build/node/browser.
// Therefore a copy of the script must run in that folder. After a release build, run in the root of the repository:
//
//     cp tests/browser/screenshot.mjs build/node/browser/
//     node build/node/browser/screenshot.mjs build/release/solard web/screenshot.png
//
// SOLARD_CHROMIUM is the path of Chromium (default: /usr/bin/chromium).
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const QUESTIONS = ["What is a GPU?", "Tell me a story."];

const [program, picture] = process.argv.slice(2);
if (!picture) {
    console.error("usage: node screenshot.mjs SOLARD_PROGRAM PICTURE.png");
    process.exit(2);
}

/** Resolves to the URL that the server prints when it is ready. */
async function urlOf(server) {
    for await (const line of createInterface({ input: server.stdout })) {
        const found = line.match(/http:\/\/127\.0\.0\.1:\d+/);
        if (found) return found[0];
    }
    throw new Error(`${program} ended before it printed its URL`);
}

async function ask(page, question) {
    await page.getByLabel("Question").fill(question);
    await page.getByLabel("Question").press("Enter");
    await page.locator(".turn").last().locator(".phase.complete").waitFor();
}

const server = spawn(program, ["--port", "0", "--device", "cpu"], { stdio: ["ignore", "pipe", "ignore"] });
const browser = await chromium.launch({
    executablePath: process.env.SOLARD_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu"],
});
try {
    const page = await browser.newPage({ viewport: { width: 1200, height: 760 }, colorScheme: "light" });
    await page.goto(await urlOf(server));
    await page.locator(".state.ready").waitFor();
    await page.getByRole("spinbutton", { name: "Temperature" }).fill("0");
    for (const question of QUESTIONS) await ask(page, question);
    await page.getByLabel("Question").blur();
    await page.screenshot({ path: picture });
} finally {
    await browser.close();
    server.kill();
}
