// node build-package.mjs WASM: makes the npm package's dist/ of the sources here and the folder WASM that wasm-bindgen wrote.
import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { cp, readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const wasm = process.argv[2];
if (!wasm) throw new Error("usage: node build-package.mjs WASM");
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const dist = here("dist");
const BINARY = "lingualinked_bg.wasm";

/** The Rust module's script comes into the bundle; bundlers of embedders find its binary by a literal relative URL. */
const rust = {
  name: "rust module",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /lingualinked\.js$/ }, ({ path }) => ({ path: resolve(wasm, path.split("/").at(-1)) }));
    onLoad({ filter: /lingualinked\.js$/ }, async ({ path }) => {
      const bare = `new URL('${BINARY}', import.meta.url)`;
      const script = await readFile(path, "utf8");
      if (!script.includes(bare)) throw new Error(`${path} does not load ${BINARY} as expected`);
      return { contents: script.replace(bare, `new URL('./${BINARY}', import.meta.url)`) };
    });
  },
};

await rm(dist, { recursive: true, force: true });
const common = { outdir: dist, bundle: true, format: "esm", target: "es2022", plugins: [rust] };
await build({ ...common, entryPoints: { index: here("src/package/index.ts") } });
// Embedders' bundlers copy it as it is, so it stands alone; it gets the compiled module by message.
await build({ ...common, entryPoints: { worker: join(wasm, "worker.js") }, minify: true, define: { "import.meta.url": '"unused:"' } });
await cp(join(wasm, BINARY), join(dist, BINARY));
await cp(here("../LICENSE"), join(dist, "LICENSE"));
execFileSync(process.execPath, [here("node_modules/typescript/bin/tsc"), "--project", here("tsconfig.package.json")], { stdio: "inherit" });
