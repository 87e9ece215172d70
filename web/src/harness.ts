// A page without a face: tests and the terminal drive its phone.
import type { RustModule } from "./facade";
import { load } from "./wasm";

declare global {
  interface Window {
    lingualinked: Promise<RustModule>;
  }
}

window.lingualinked = load();
