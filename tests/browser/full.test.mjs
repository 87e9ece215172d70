// SmolLM2 on one and on three browser processes, CPU and GPU (software adapter).
import { test } from "node:test";
import assert from "node:assert/strict";
import { areMeasured, ask, closeRoom, members, openRoom } from "./room.mjs";

const url = process.env.LINGUALINKED_URL;
const MIB = 2 ** 20;
/** From a reload to a loaded model, with the weights in storage. */
const READY_AGAIN_MS = 5_000;
const PROMPT = "Once upon a time, in a small village by the sea,";

async function answer(budgets, engine, maxTokens) {
  const room = await openRoom({ url, budgets, engine, contextColumns: 512 });
  try {
    const { ids, text } = await ask(room, { prompt: PROMPT, maxTokens, temperature: 0 });
    console.log(`${engine}, ${budgets.length} phones: ${text}`);
    const heaps = await Promise.all(room.phones.map((phone) => phone.peakHeap()));
    return { ids, stages: room.plan.stages.length, heaps, held: members(room).map(({ assigned_bytes }) => assigned_bytes) };
  } finally {
    await closeRoom(room);
  }
}

for (const [engine, maxTokens] of [["cpu", 32], ["gpu", 32]]) {
  test(`SmolLM2 writes the same on one and on three phones (${engine})`, async () => {
    const alone = await answer([undefined], engine, maxTokens);
    const together = await answer([47 * MIB, 47 * MIB, 47 * MIB], engine, maxTokens);
    assert.equal(alone.stages, 1);
    assert.equal(together.stages, 4);
    assert.equal(together.ids.length, maxTokens);
    assert.deepEqual(together.ids, alone.ids);
    if (engine === "gpu") heapsAreAlike([alone, together]);
  });
}

/** On the GPU weights only pass through the heap: how much of them a phone holds does not show in it. */
function heapsAreAlike(rooms) {
  const held = rooms.flatMap(({ held }) => held);
  const heaps = rooms.flatMap(({ heaps }) => heaps);
  const mib = (bytes) => Math.round(bytes / MIB);
  console.log(`segments of ${held.map(mib)} MiB, peak wasm heaps of ${heaps.map(mib)} MiB`);
  const spread = (numbers) => Math.max(...numbers) - Math.min(...numbers);
  assert.ok(spread(held) > 40 * MIB && spread(heaps) < 0.2 * spread(held));
}

test("Korean and emoji stream whole", async () => {
  const room = await openRoom({ url, budgets: [undefined], engine: "cpu", contextColumns: 512 });
  try {
    const pieces = [];
    const prompt = "안녕하세요 👋🏽 반갑습니다 🎉\n".repeat(6);
    const { text } = await ask(room, { prompt, maxTokens: 60, temperature: 0 }, (piece) => pieces.push(piece));
    console.log(`goes on: ${JSON.stringify(text)}`);
    assert.match(text, /\p{Script=Hangul}/u);
    assert.match(text, /\p{Extended_Pictographic}/u);
    assert.ok(pieces.every((piece) => !piece.includes("\uFFFD")), "no half characters on the way");
    assert.ok(text.startsWith(pieces.join("")), "what streamed is the text");
  } finally {
    await closeRoom(room);
  }
});

test("reloaded pages are ready again within 5 s: the weights are in storage", async () => {
  const options = { engine: "cpu", contextColumns: 512 };
  const room = await openRoom({ url, budgets: [undefined], ...options });
  try {
    const { host, model: { id, file, manifest } } = room;
    await host.call("leave");
    const from = host.events.length;
    const reloaded = performance.now();
    await host.load(url);
    await host.start({ name: "host", client: "host", ...options });
    await host.call("host", { id, file, manifest });
    await host.until(() => areMeasured(host, 1), from);
    await host.call("begin");
    await host.until((event) => event.type === "ready", from);
    const took_ms = performance.now() - reloaded;
    console.log(`SmolLM2 is ready ${Math.round(took_ms)} ms after the reload`);
    assert.ok(took_ms <= READY_AGAIN_MS, `${took_ms} ms`);
  } finally {
    await closeRoom(room);
  }
});
