// The packed npm package: well-formed, and used by pages of others, each generating text in Chromium.
// `cargo xtask e2e` tells where package, server and a tiny random-weight model are.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { build, createServer } from "vite";
import webpack from "webpack";
import { openBrowser } from "../browser/chromium.mjs";

const { LINGUALINKED_PACKAGE: tarball, LINGUALINKED_SERVER: binary, LINGUALINKED_MODEL: model } = process.env;
const full = process.env.LINGUALINKED_FULL === "1";
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const MESSAGES = [{ role: "user", content: "abcdefgh" }];
/** Bytes: too little for the model on one page, enough on two. */
const SMALL = 1_000_000;

let projects;
const servers = [];
const browsers = [];
before(async () => (projects = await mkdtemp(join(tmpdir(), "lingualinked-consumers-"))));
after(async () => {
  for (const browser of browsers) await browser.close();
  for (const server of servers) server.kill();
  await rm(projects, { recursive: true, force: true });
});

/** A blank project with the package installed. */
async function project(name) {
  const folder = join(projects, name);
  await mkdir(folder);
  await writeFile(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  execFileSync("npm", ["install", "--silent", "--no-audit", "--no-fund", "--offline", tarball], { cwd: folder, stdio: "inherit" });
  return folder;
}

/** Serves a folder, rooms and the model, under the server's content security policy. */
async function serve(folder) {
  const server = spawn(binary, ["--model", model, "--web", folder, "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
  servers.push(server);
  for await (const line of createInterface(server.stdout)) {
    const url = /^listening on (http:\S+)/.exec(line)?.[1];
    if (url) return url;
  }
  throw new Error("the server did not start");
}

/** A page in a browser process of its own; what goes wrong on it fails the test. */
async function open(url) {
  const browser = await openBrowser();
  browsers.push(browser);
  const page = await browser.context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  await page.goto(url);
  return { page, problems };
}

/** The first snippet of a document. */
async function snippet(path) {
  const text = await readFile(here(path), "utf8");
  return /```js\n(.*?)```/s.exec(text)[1];
}

test("publint has no objection", async () => {
  const folder = join(await project("linted"), "node_modules/lingualinked");
  const { messages } = await publint({ pkgDir: folder, strict: true, pack: false });
  assert.deepEqual(messages.map((message) => formatMessage(message, {})), []);
});

test("types are found by every resolution of ESM", () => {
  // Worker and binary have addresses, not types.
  const files = ["--exclude-entrypoints", "./worker.js", "./lingualinked_bg.wasm"];
  execFileSync(here("node_modules/.bin/attw"), [tarball, "--profile", "esm-only", ...files], { stdio: "pipe" });
});

test("importing it touches no page", () => {
  execFileSync(process.execPath, ["--input-type=module", "--eval", `await import(${JSON.stringify(here("../../web/dist/index.js"))})`], { stdio: "pipe" });
});

test("plain modules: two pages answer together, by the API as documented", async () => {
  const folder = await project("plain");
  await cp(here("plain"), folder, { recursive: true });
  const url = await serve(folder);
  const [host, guest] = [await open(url), await open(url)];
  const link = await host.page.evaluate(async (budgetBytes) => {
    const { createSession } = globalThis.lingualinked;
    globalThis.progress = [];
    globalThis.session = await createSession({ name: "host", engine: "cpu", budgetBytes, onProgress: (step) => globalThis.progress.push(step) });
    return globalThis.session.url;
  }, SMALL);
  await guest.page.evaluate(async ([link, budgetBytes]) => {
    globalThis.session = await globalThis.lingualinked.joinSession(link, { name: "guest", engine: "cpu", budgetBytes });
  }, [link, SMALL]);

  const begun = await host.page.evaluate(async () => {
    const { session, progress } = globalThis;
    await session.members.until((members) => members.length === 2);
    await session.begin();
    return { stages: session.plan.value.stages.length, phases: [...new Set(progress.map(({ phase }) => phase))], last: progress.at(-1) };
  });
  assert.equal(begun.stages, 3, "host, guest, host");
  assert.deepEqual(begun.phases, ["waiting", "planning", "loading", "ready"]);
  assert.equal(begun.last.loadedBytes, begun.last.totalBytes);

  const { chunks, whole, aborted, tooLong, after } = await host.page.evaluate(async (messages) => {
    const { completions } = globalThis.session.chat;
    const request = { messages, max_tokens: 8, temperature: 0 };
    const chunks = [];
    for await (const chunk of await completions.create({ ...request, stream: true })) chunks.push(chunk);
    const whole = await completions.create(request);
    const controller = new AbortController();
    const aborted = [];
    try {
      for await (const { choices: [{ delta }] } of await completions.create({ ...request, max_tokens: 400, stream: true }, { signal: controller.signal })) {
        aborted.push(delta);
        if (aborted.length === 3) controller.abort();
      }
    } catch (error) {
      aborted.push(error.name);
    }
    const tooLong = await completions.create({ messages: [{ role: "user", content: "a b ".repeat(4000) }] }).catch(({ name, code, remedy }) => ({ name, code, remedy }));
    const after = await completions.create(request);
    return { chunks, whole, aborted, tooLong, after: after.choices[0].message.content };
  }, MESSAGES);
  const [first, last] = [chunks[0], chunks.at(-1)];
  assert.deepEqual([first.object, first.choices[0].delta.role, last.choices[0].finish_reason], ["chat.completion.chunk", "assistant", "length"]);
  assert.equal(new Set(chunks.map(({ id }) => id)).size, 1);
  assert.equal(last.usage.completion_tokens, 8);
  const streamed = chunks.map(({ choices: [{ delta }] }) => delta.content ?? "").join("");
  assert.ok(streamed.length > 0);
  assert.equal(whole.object, "chat.completion");
  assert.equal(whole.choices[0].message.content, streamed);
  assert.equal(aborted.at(-1), "AbortError");
  assert.ok(aborted.length < 100);
  assert.equal(tooLong.name, "LinguaLinkedError");
  assert.equal(tooLong.code, "prompt.too_long");
  assert.ok(tooLong.remedy.length > 0);
  assert.equal(after, streamed, "the room is free again");

  for (const { page } of [host, guest]) {
    const { slots, ended, long, alone, short } = await page.evaluate(async ([short, long]) => {
      const { session } = globalThis;
      const { completions } = session.chat;
      const ended = [];
      const ask = async (name, request, options) => {
        const text = await completions.create(request, options).then(({ choices }) => choices[0].message.content, ({ name, code }) => (name === "AbortError" ? name : code));
        ended.push(name);
        return text;
      };
      const alone = await ask("alone", long);
      const controller = new AbortController();
      const longer = ask("long", long);
      const others = [
        ask("aborted", long, { signal: controller.signal }),
        ask("refused", { messages: [{ role: "user", content: "a b ".repeat(4000) }] }),
        ...[1, 2, 3, 4].map((number) => ask(`short ${number}`, short)),
      ];
      setTimeout(() => controller.abort(), 50);
      const [aborted, refused, ...texts] = await Promise.all(others);
      return { slots: session.plan.value.slots, ended, alone, long: await longer, short: [aborted, refused, ...texts] };
    }, [{ messages: MESSAGES, max_tokens: 8, temperature: 0 }, { messages: MESSAGES, max_tokens: 120, temperature: 0 }]);
    assert.ok(slots > 1, `${slots} at a time`);
    assert.equal(ended.at(-1), "long", `short answers do not wait for a long one: ${ended}`);
    assert.equal(long, alone, "what the others ask, stop and are refused changes nothing");
    assert.deepEqual(short, ["AbortError", "prompt.too_long", ...Array(4).fill(streamed)]);
  }

  const { labelled, summary, translated } = await host.page.evaluate(async () => {
    const { session } = globalThis;
    return {
      labelled: await session.classify({ text: "abcdefgh", labels: ["good", "bad", "neither"], question: "Mood" }),
      summary: await session.summarize({ text: "a b ".repeat(600), maxTokens: 4 }),
      translated: await session.translate({ text: "abcd", from: "English", to: "Korean", maxTokens: 4 }),
    };
  });
  assert.deepEqual(new Set(labelled.scores.map(({ label }) => label)), new Set(["good", "bad", "neither"]));
  assert.ok(Math.abs(labelled.scores.reduce((sum, { probability }) => sum + probability, 0) - 1) < 1e-9);
  assert.ok(labelled.scores.every(({ probability }) => probability > 0));
  assert.equal(labelled.label, labelled.scores[0].label);
  assert.ok(summary.parts > 1, "longer than the context");
  assert.ok(summary.text.length > 0 && translated.length > 0);

  const asked = await guest.page.evaluate(async (messages) => {
    const { session } = globalThis;
    const answer = await session.chat.completions.create({ messages, max_tokens: 8, temperature: 0 });
    const tooLong = await session.chat.completions.create({ messages: [{ role: "user", content: "a b ".repeat(4000) }] }).catch(({ code }) => code);
    return { content: answer.choices[0].message.content, usage: answer.usage, tooLong };
  }, MESSAGES);
  assert.equal(asked.content, streamed, "a guest is answered as the host is");
  assert.deepEqual([asked.usage, asked.tooLong], [whole.usage, "prompt.too_long"]);

  const kept = await guest.page.evaluate(async () => {
    const { models } = globalThis.lingualinked;
    const [{ id, storedBytes }] = await models.list();
    const before = await models.has(id);
    await models.delete(id);
    return { storedBytes, before, after: await models.has(id) };
  });
  assert.ok(kept.storedBytes > 0);
  assert.deepEqual([kept.before, kept.after], [true, false]);

  const ended = await guest.page.evaluate(async () => {
    const { ended } = globalThis.session;
    globalThis.over = new Promise((resolve) => ended.addEventListener("abort", () => resolve(ended.reason.code)));
  }).then(() => host.page.evaluate(() => globalThis.session.leave())).then(() => guest.page.evaluate(() => globalThis.over));
  assert.equal(ended, "room.ended");

  const read = await host.page.evaluate(async () => {
    const { createSession, models } = globalThis.lingualinked;
    const [{ file, file_bytes }] = await models.list();
    const steps = [];
    const options = { engine: "cpu", onProgress: (step) => steps.push(step) };
    const session = await createSession({ ...options, model: await (await fetch(file)).blob() });
    session.leave();
    const refused = await createSession({ ...options, model: new Blob(["no model"]) }).catch(({ code }) => code);
    const reading = steps.filter(({ phase }) => phase === "reading");
    return { url: session.url, first: steps[0], last: reading.at(-1), file_bytes, refused };
  });
  assert.match(read.url, /#room=/);
  assert.deepEqual(read.first, { phase: "reading", loadedBytes: 0, totalBytes: read.file_bytes });
  assert.deepEqual(read.last, { ...read.first, loadedBytes: read.file_bytes });
  assert.equal(read.refused, "model.not_gguf");
  assert.deepEqual([host.problems, guest.problems], [[], []]);
});

/** A project with the README's first snippet as its only script; `script` is how its page gets it. */
async function readmeProject(name, script) {
  const folder = await project(name);
  await writeFile(join(folder, "main.js"), await snippet("../../README.md"));
  await writeFile(join(folder, "index.html"), `<!doctype html><link rel="icon" href="data:,"><body>${script}</body>`);
  return folder;
}

/** A page with the snippet shows text, and nothing else happens on it. */
async function answers(url) {
  const { page, problems } = await open(url);
  const shown = page.waitForFunction(() => document.body.textContent.trim() !== "", undefined, { timeout: 60_000 });
  // What went wrong says more than that nothing came.
  await shown.catch(() => {});
  assert.deepEqual(problems, []);
  await shown;
}

test("the README's first snippet works in a new project, built by Vite", async () => {
  const root = await readmeProject("vite", '<script type="module" src="/main.js"></script>');
  await build({ root, logLevel: "warn", configFile: false });
  await answers(await serve(join(root, "dist")));
});

test("and served by Vite's development server", { skip: !full && "only with --full" }, async () => {
  const root = await readmeProject("vite-dev", '<script type="module" src="/main.js"></script>');
  const target = await serve(root);
  const proxy = { "/api": { target }, "/models": { target } };
  const vite = await createServer({ root, logLevel: "warn", configFile: false, server: { port: 0, proxy }, optimizeDeps: { exclude: ["lingualinked"] } });
  try {
    await vite.listen();
    await answers(vite.resolvedUrls.local[0]);
  } finally {
    await vite.close();
  }
});

test("and built by webpack", { skip: !full && "only with --full" }, async () => {
  const context = await readmeProject("webpack", '<script type="module" src="main.mjs"></script>');
  const path = join(context, "dist");
  const stats = await promisify(webpack)({ context, mode: "production", entry: "./main.js", output: { path, module: true }, experiments: { outputModule: true }, performance: { hints: false } });
  const { errors, warnings } = stats.toJson({ all: false, errors: true, warnings: true });
  assert.deepEqual([...errors, ...warnings].map(({ message }) => message), []);
  await cp(join(context, "index.html"), join(path, "index.html"));
  await answers(await serve(path));
});

test("and by Next, as documented", { skip: !full && "only with --full" }, async () => {
  const folder = join(projects, "next");
  await cp(here("next"), folder, { recursive: true });
  const npm = (...task) => execFileSync("npm", [...task, "--silent", "--no-audit", "--no-fund"], { cwd: folder, stdio: "inherit" });
  npm("ci");
  npm("install", "--offline", tarball);
  const env = { ...process.env, LINGUALINKED_URL: await serve(folder), NEXT_TELEMETRY_DISABLED: "1" };
  const next = join(folder, "node_modules/next/dist/bin/next");
  execFileSync(process.execPath, [next, "build"], { cwd: folder, env, stdio: ["ignore", "ignore", "inherit"] });
  const app = spawn(process.execPath, [next, "start", "--port", "0"], { cwd: folder, env, stdio: ["ignore", "pipe", "inherit"] });
  servers.push(app);
  for await (const line of createInterface(app.stdout)) {
    const url = /http:\/\/localhost:\d+/.exec(line)?.[0];
    if (url) return answers(url);
  }
  assert.fail("Next did not start");
});
