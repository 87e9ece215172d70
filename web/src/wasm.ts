// The Rust module, built beside the page's scripts; its API is declared in facade.ts.
import type { RustModule } from "./facade";

let loading: Promise<RustModule> | undefined;

/** The module, instantiated once; a failed attempt may be repeated. */
export function load(): Promise<RustModule> {
  loading ??= instantiate().catch((thrown: unknown) => {
    loading = undefined;
    throw thrown;
  });
  return loading;
}

async function instantiate(): Promise<RustModule> {
  // @ts-expect-error: exists in the built folder only.
  const rust = (await import("./wasm/lingualinked.js")) as RustModule & { default: () => Promise<unknown> };
  await rust.default();
  return rust;
}
