// Bundles the page into the folder that is given as argument. Writes index.html into this folder, and the other files
// into its subfolder assets/. Each name under assets/ contains a hash of the file's content.
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const output = process.argv[2];
if (!output) {
    console.error("usage: node build.mjs OUTPUT_FOLDER");
    process.exit(2);
}
const source = join(dirname(fileURLToPath(import.meta.url)), "src");

await rm(output, { recursive: true, force: true });
await mkdir(output, { recursive: true });

const { metafile } = await build({
    entryPoints: ["main.tsx", "style.css"].map((name) => join(source, name)),
    outdir: output,
    entryNames: "assets/[name]-[hash]",
    assetNames: "assets/[name]-[hash]",
    publicPath: "/",
    loader: { ".svg": "file" },
    bundle: true,
    format: "esm",
    target: ["es2022", "chrome109", "firefox115", "safari16.4"],
    minify: true,
    sourcemap: true,
    metafile: true,
    legalComments: "none",
    logLevel: "warning",
});

// The map from a name to its address: "main.js" → "/assets/main-1A2B3C4D.js"
const addresses = new Map(
    Object.keys(metafile.outputs).map((path) => {
        const name = basename(path);
        return [name.replace(/-[0-9A-Z]{8}(?=\.)/, ""), `/assets/${name}`];
    }),
);
const page = await readFile(join(source, "index.html"), "utf8");
const filled = page.replace(/\{\{(.+?)\}\}/g, (_, name) => {
    const address = addresses.get(name);
    if (!address) throw new Error(`index.html refers to ${name}, but the build did not produce it`);
    return address;
});
await writeFile(join(output, "index.html"), filled);
