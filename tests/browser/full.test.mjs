// SmolLM2 on one and on three browser processes, CPU and GPU (software adapter).
import { test } from "node:test";
import assert from "node:assert/strict";
import { ask, closeRoom, openRoom } from "./room.mjs";

const url = process.env.LINGUALINKED_URL;
const MIB = 2 ** 20;
const PROMPT = "Once upon a time, in a small village by the sea,";

async function answer(budgets, engine, maxTokens) {
  const room = await openRoom({ url, budgets, engine, contextColumns: 512 });
  try {
    const { ids, text } = await ask(room, { prompt: PROMPT, maxTokens, temperature: 0 });
    console.log(`${engine}, ${budgets.length} phones: ${text}`);
    return { ids, stages: room.plan.stages.length };
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
  });
}
