// node build.mjs OUT: bundles the page's scripts into OUT and copies what is served as it is.
import { build } from "esbuild";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const out = process.argv[2];
if (!out) throw new Error("usage: node build.mjs OUT");
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

await build({
  entryPoints: [here("src/main.ts"), here("src/harness.ts")],
  outdir: out,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  // Built from Rust beside the scripts.
  external: ["./wasm/lingualinked.js", "./wasm/generic/lingualinked.js"],
});
await cp(here("../index.html"), join(out, "index.html"));
for (const file of ["style.css", "harness.html", "app.webmanifest", "icon.svg", "icon.png"]) await cp(here(file), join(out, file));
