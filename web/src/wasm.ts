// The Rust module, built beside the page's scripts; its API is declared in facade.ts.
import type { RustModule } from "./facade";

// @ts-expect-error: exists in the built folder only.
import * as rust from "./wasm/lingualinked.js";

/** The module, instantiated. */
export async function load(): Promise<RustModule> {
  await (rust as { default: () => Promise<unknown> }).default();
  return rust as RustModule;
}
