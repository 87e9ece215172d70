// The mission's own case: a model of random weights in the shape of Llama 3.2 1B, on three phones none of which could hold it.
import { test } from "node:test";
import assert from "node:assert/strict";
import { ask, closeRoom, members, openRoom } from "./room.mjs";

const url = process.env.LINGUALINKED_URL;
const MIB = 2 ** 20;
/** Phones get unequal parts; the host besides holds embedding and head. */
const BUDGETS = [480, 340, 200].map((mib) => mib * MIB);
const TOKENS = 8;
const mib = (bytes) => `${Math.round(bytes / MIB)} MiB`;

test(`a 1B shape that fits no phone streams ${TOKENS} tokens from three (CPU, random weights)`, async () => {
  const room = await openRoom({ url, budgets: BUDGETS, engine: "cpu", contextColumns: 256 });
  try {
    assert.ok(BUDGETS.every((bytes) => bytes < room.model.file_bytes), "no phone could hold it");
    const { ids, tokPerS, msToFirstToken } = await ask(room, { prompt: "Once upon a time", maxTokens: TOKENS, temperature: 0 });
    assert.equal(ids.length, TOKENS);
    const held = members(room).map(({ assigned_bytes }) => assigned_bytes);
    assert.ok(held.every((bytes, phone) => bytes > 0 && bytes <= BUDGETS[phone]));
    for (const [index, phone] of room.phones.entries()) {
      // On the CPU the weights live in the heap.
      console.log(`${phone.name} offers ${mib(BUDGETS[index])}, holds ${mib(held[index])} of ${mib(room.model.file_bytes)}; peak wasm heap ${mib(await phone.peakHeap())}`);
    }
    console.log(`first token after ${Math.round(msToFirstToken)} ms, then ${tokPerS.toFixed(2)} tok/s`);
  } finally {
    await closeRoom(room);
  }
});
