// The mission's own case: a model of random weights in the shape of Llama 3.2 1B, on three phones none of which could hold it.
import { test } from "node:test";
import assert from "node:assert/strict";
import { ask, closeRoom, members, openRoom } from "./room.mjs";

const url = process.env.LINGUALINKED_URL;
const MIB = 2 ** 20;
/** Phones get unequal parts; the host besides holds embedding and head. */
const BUDGETS = [480, 340, 200].map((mib) => mib * MIB);
const TOKENS = 8;
/** A GPU in software takes seconds for a token. */
const GPU_TOKENS = 2;
/** Heaps of engine threads through which weights only pass, at most, bytes. */
const PASSING_HEAP_BYTES = 80 * MIB;
const mib = (bytes) => `${Math.round(bytes / MIB)} MiB`;

/** Loads and answers, says what was seen, and returns the heaps of the engine threads, bytes. */
async function seen(engine, maxTokens) {
  const room = await openRoom({ url, budgets: BUDGETS, engine, contextColumns: 256 });
  try {
    assert.ok(BUDGETS.every((bytes) => bytes < room.model.file_bytes), "no phone could hold it");
    const { ids, tokPerS, msToFirstToken } = await ask(room, { prompt: "Once upon a time", maxTokens, temperature: 0 });
    assert.equal(ids.length, maxTokens);
    const held = members(room).map(({ assigned_bytes }) => assigned_bytes);
    assert.ok(held.every((bytes, phone) => bytes > 0 && bytes <= BUDGETS[phone]));
    const heaps = await Promise.all(room.phones.map((phone) => phone.peakHeap()));
    for (const [index, phone] of room.phones.entries()) {
      console.log(`${engine}: ${phone.name} offers ${mib(BUDGETS[index])}, holds ${mib(held[index])} of ${mib(room.model.file_bytes)}; peak wasm heap ${mib(heaps[index])}`);
    }
    console.log(`${engine}: first token after ${Math.round(msToFirstToken)} ms, then ${tokPerS.toFixed(2)} tok/s`);
    return { held, heaps };
  } finally {
    await closeRoom(room);
  }
}

test(`a 1B shape that fits no phone streams ${TOKENS} tokens from three (CPU, random weights)`, async () => {
  // Here the weights live in the heap.
  await seen("cpu", TOKENS);
});

test(`the same on a GPU, ${GPU_TOKENS} tokens: the weights only pass through the heap (random weights)`, async () => {
  const { held, heaps } = await seen("gpu", GPU_TOKENS);
  for (const [phone, heap] of heaps.entries()) {
    assert.ok(heap < PASSING_HEAP_BYTES && heap < held[phone], `phone ${phone}: ${mib(heap)} for a segment of ${mib(held[phone])}`);
  }
});
