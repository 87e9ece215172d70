// The languages of the page say the same things, and there are words for every error code of the Rust crates.
import { test } from "node:test";
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { load, root } from "./load.mjs";

// Errors of the server's start go to its terminal, not to a page.
const SOURCES = ["crates/model", "crates/text", "crates/proto", "crates/door", "crates/engine", "crates/plan", "crates/session", "wasm-core", "signaling-server/src/refusal.rs"];

async function rustFiles(path) {
  if (path.endsWith(".rs")) return [path];
  const entries = await readdir(join(root, path), { recursive: true });
  return entries.filter((entry) => entry.endsWith(".rs")).map((entry) => join(path, entry));
}

/** Literals in the bodies of `fn code(&self) -> &'static str`. */
function codesIn(text) {
  const bodies = text.matchAll(/fn code\(&self\) -> &'static str \{\n(.*?)\n    \}\n/gs);
  return [...bodies].flatMap(([, body]) => [...body.matchAll(/"([a-z_.]+)"/g)].map(([, code]) => code));
}

async function codesOfRust() {
  const files = (await Promise.all(SOURCES.map(rustFiles))).flat();
  const texts = await Promise.all(files.map((file) => readFile(join(root, file), "utf8")));
  return [...new Set(texts.flatMap(codesIn))].sort();
}

const { english } = await load("strings-en.ts");
const { korean } = await load("strings-ko.ts");
const { koreanFaults } = await load("errors-ko.ts");

test("English and Korean have the same keys, of the same kind, all in use", () => {
  const kinds = (strings) => Object.fromEntries(Object.entries(strings).map(([key, value]) => [key, typeof value === "function" ? `function of ${value.length}` : typeof value]).sort());
  assert.deepEqual(kinds(korean), kinds(english));
  const empty = Object.entries({ ...english, ...korean }).filter(([, value]) => value === "");
  assert.deepEqual(empty, []);
});

test("every sentence is used", async () => {
  const files = (await readdir(join(root, "web/src"), { recursive: true })).filter((file) => file.endsWith(".ts") && !file.startsWith("strings"));
  const text = (await Promise.all(files.map((file) => readFile(join(root, "web/src", file), "utf8")))).join();
  assert.deepEqual(Object.keys(english).filter((key) => !text.includes(`say.${key}`)), []);
});

test("every error code has words in Korean, and no other has", async () => {
  const rust = await codesOfRust();
  assert.ok(rust.length > 50 && rust.includes("room.unknown") && rust.includes("session.busy"), `only ${rust.length} codes found`);
  const translated = Object.keys(koreanFaults);
  assert.deepEqual(rust.filter((code) => !translated.includes(code)), [], "to be added to web/src/errors-ko.ts");
  assert.deepEqual(translated.filter((code) => !rust.includes(code)), [], "to be removed from web/src/errors-ko.ts");
});

test("what happened and what to do are sentences", () => {
  for (const [code, [message, remedy]] of Object.entries(koreanFaults)) {
    assert.match(message, /[.!)]$/, code);
    assert.match(remedy, /[.!)]$/, code);
  }
});
