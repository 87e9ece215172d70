// A TypeScript module of the page, as Node takes it.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** The repository's root. */
export const root = fileURLToPath(new URL("../../", import.meta.url));

export async function load(module) {
  const { outputFiles } = await build({ entryPoints: [join(root, "web/src", module)], bundle: true, format: "esm", write: false });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
}
