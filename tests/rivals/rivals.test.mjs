// Our CPU executor beside other engines in wasm on one machine: same Chromium, one thread each, warm, turn by turn. Only ratios count.
// wllama runs the same file; transformers.js runs random weights in the same shape (onnx-model.mjs): its own files of this model are
// not on any package registry. `cargo xtask e2e --full rivals` starts the server that LINGUALINKED_URL names and gives it the default model.
// With LINGUALINKED_ENGINE=gpu, all on WebGPU, what is seen is told and nothing expected: `CHROMIUM=$(scripts/lavapipe.sh)` has one that runs them.
import { after, test } from "node:test";
import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openBrowser } from "../browser/chromium.mjs";
import { median } from "../browser/median.mjs";
import { ask, closeRoom, openRoom } from "../browser/room.mjs";
import { writeOnnxModel } from "./onnx-model.mjs";

const { LINGUALINKED_URL: url, LINGUALINKED_MODEL: model, LINGUALINKED_ENGINE: engine = "cpu" } = process.env;
const onGpu = engine === "gpu";
const ROUNDS = onGpu ? 1 : 3;
const TOKENS = onGpu ? 16 : 64;
const CONTEXT_COLUMNS = 1024;
const TEXT = "The harbour was quiet that morning, and the boats lay still on the grey water while the old man mended his nets and talked about the weather. ";
/** About 256 tokens, different each time, so that nobody has the beginning cached. */
const prompt = (round) => `Round ${round}, chapter ${7 * round + 3}. ${TEXT.repeat(9)}`;
const TYPES = { html: "text/html", js: "text/javascript", json: "application/json", mjs: "text/javascript", wasm: "application/wasm" };

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const onnxModel = await mkdtemp(join(tmpdir(), "lingualinked-rivals-"));
/** What addresses begin with, and where it lies. */
const FOLDERS = {
  "/wllama/": here("node_modules/@wllama/wllama/esm/"),
  "/transformers/": here("node_modules/@huggingface/transformers/dist/"),
  "/onnxruntime/": here("node_modules/onnxruntime-web/dist/"),
  "/onnx-model/": `${onnxModel}/`,
  "/": here("./"),
};

/** Serves the others' files, their pages and the models. */
function serve() {
  const server = createServer(({ url }, answer) => {
    const [start, folder] = Object.entries(FOLDERS).find(([start]) => url.startsWith(start));
    const path = url === "/model.gguf" ? model : url.replace(start, folder);
    const file = createReadStream(path);
    file.on("error", () => answer.writeHead(404).end());
    answer.setHeader("content-type", TYPES[path.split(".").at(-1)] ?? "application/octet-stream");
    file.pipe(answer);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

const server = await serve();
const browser = await openBrowser();
const room = await openRoom({ url, budgets: [undefined], engine, contextColumns: CONTEXT_COLUMNS });
after(async () => {
  await closeRoom(room);
  await browser.close();
  server.close();
  server.closeAllConnections();
  await rm(onnxModel, { recursive: true, force: true });
});

async function open(file) {
  const page = await browser.context.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/${file}`);
  return page;
}

/** Tokens per second of prompt and answer. */
async function ours(round) {
  const { msToFirstToken, promptTokens, tokPerS, tokens } = await ask(room, { prompt: prompt(round), maxTokens: TOKENS, temperature: 0 });
  return { prefill: (1000 * promptTokens) / msToFirstToken, decode: tokPerS, prompt: promptTokens, tokens };
}

/** Lets a rival answer beside us, round by round, prints and checks the ratios, and returns the rounds. */
async function compare(name, theirs) {
  const rounds = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const mine = await ours(round);
    const pair = { ours: mine, theirs: await theirs(round, mine.prompt) };
    // The first of each warms up.
    if (round > 0) rounds.push(pair);
  }
  for (const what of ["prefill", "decode"]) {
    const of = (who) => median(rounds.map((pair) => pair[who][what]));
    const ratio = median(rounds.map(({ ours, theirs }) => ours[what] / theirs[what]));
    console.log(`SmolLM2, ${onGpu ? "WebGPU" : "one thread"}, ${what}: ours ${of("ours").toFixed(1)} tok/s, ${name} ${of("theirs").toFixed(1)} tok/s, ratio ${ratio.toFixed(2)}`);
    if (!onGpu) assert.ok(ratio >= 1, `${what}: ${ratio}`);
  }
  for (const { ours, theirs } of rounds) {
    assert.ok(Math.abs(ours.prompt - theirs.prompt) <= 1, JSON.stringify({ ours, theirs }));
    assert.equal(theirs.tokens, ours.tokens);
  }
}

test("beside wllama: prompt and answer", async () => {
  const page = await open("wllama.html");
  const options = { n_ctx: CONTEXT_COLUMNS, n_threads: 1, n_gpu_layers: onGpu ? 99 : 0 };
  const threads = await page.evaluate(async (options) => {
    const file = await (await fetch("/model.gguf")).blob();
    await globalThis.wllama.loadModel([file], options);
    return globalThis.wllama.getNumThreads();
  }, options);
  assert.equal(threads, 1);
  await compare("wllama 3.8.1", async (round) => {
    const { timings } = await page.evaluate(
      async ([prompt, max_tokens]) => globalThis.wllama.createCompletion({ prompt, max_tokens, temperature: 0 }),
      [prompt(round), TOKENS],
    );
    const { cache_n, prompt_n, prompt_per_second, predicted_n, predicted_per_second } = timings;
    assert.ok(cache_n < 16, JSON.stringify(timings));
    return { prefill: prompt_per_second, decode: predicted_per_second, prompt: prompt_n + cache_n, tokens: predicted_n };
  });
  await page.close();
});

test("beside transformers.js: prompt and answer", async () => {
  await writeOnnxModel(onnxModel, onGpu ? "q4" : "quantized");
  const page = await open("transformers.html");
  const [dtype, device] = onGpu ? ["q4", "webgpu"] : ["q8", "wasm"];
  assert.equal(await page.evaluate((settings) => globalThis.load(...settings), [dtype, device]), 1);
  await compare("transformers.js 4.3.1 (random weights)", (round, columns) =>
    page.evaluate((question) => globalThis.generate(...question), [columns, TOKENS, round]),
  );
  await page.close();
});
