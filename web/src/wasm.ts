// The Rust module, built beside the page's scripts; its API is declared in facade.ts.
import type { RustModule } from "./facade.js";

type Built = RustModule & { default: (from?: { module_or_path: string | URL }) => Promise<unknown> };

let loading: Promise<RustModule> | undefined;

/** The module, instantiated once; a failed attempt may be repeated. `from`: its binary, unless beside the script. */
export function load(from?: string | URL): Promise<RustModule> {
  loading ??= instantiate(from).catch((thrown: unknown) => {
    loading = undefined;
    throw thrown;
  });
  return loading;
}

async function instantiate(from: string | URL | undefined): Promise<RustModule> {
  // @ts-expect-error: exists in the built folder only.
  const rust = (await import("./wasm/lingualinked.js")) as Built;
  await (from === undefined ? rust.default() : rust.default({ module_or_path: from }));
  return rust;
}
