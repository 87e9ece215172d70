// A page without a face: tests and the terminal drive its phone. `?generic`: with the module that has the generic executor.
import type { RustModule } from "./facade";
import { load } from "./wasm";

declare global {
  interface Window {
    lingualinked: Promise<RustModule>;
  }
}

async function generic(): Promise<RustModule> {
  // @ts-expect-error: exists in the built folder only.
  const rust = await import("./wasm/generic/lingualinked.js");
  await rust.default();
  return rust as RustModule;
}

window.lingualinked = location.search === "?generic" ? generic() : load();
