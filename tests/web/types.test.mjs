import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { webBuild } from "./load.mjs";

test("the page's sources pass the type checker", () => {
    const tsc = join(webBuild, "node_modules/typescript/bin/tsc");
    const { status, stdout } = spawnSync(process.execPath, [tsc, "-p", webBuild, "--pretty", "false"], { encoding: "utf8" });
    assert.equal(status, 0, stdout);
});
