// Bundles TypeScript sources of web/src with the build's own esbuild and imports the result.
// SOLARD_WEB_BUILD is the folder in which the build installed the page's packages (default: build/release/web).
import { webcrypto } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

globalThis.crypto ??= webcrypto; // node 18 lacks this global, which every browser has

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
export const webBuild = process.env.SOLARD_WEB_BUILD ?? join(root, "build/release/web");
const esbuild = createRequire(join(webBuild, "package.json"))("esbuild");

const folder = mkdtempSync(join(tmpdir(), "solard-web-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
let loads = 0;

/** Loads new instances of the modules; each instance has its own state. Returns the exports of all modules in one
    object. */
export async function load(...names) {
    const outfile = join(folder, `${names[0]}-${loads++}.mjs`);
    await esbuild.build({
        stdin: {
            contents: names.map((name) => `export * from "./${name}";`).join(""),
            resolveDir: join(root, "web/src"),
        },
        outfile,
        bundle: true,
        format: "esm",
        nodePaths: [join(webBuild, "node_modules")],
        logLevel: "warning",
    });
    return import(pathToFileURL(outfile));
}
