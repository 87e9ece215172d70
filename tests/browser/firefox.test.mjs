// Firefox joins a room of Chromium by https: WebRTC of two makers, the executor on the CPU.
import { test } from "node:test";
import assert from "node:assert/strict";
import { EmulatedPhone } from "./chromium.mjs";
import { openFirefox } from "./firefox.mjs";
import { ask, closeRoom, members, openRoom } from "./room.mjs";

const url = process.env.LINGUALINKED_HTTPS_URL;
const REQUEST = { prompt: "abcdefgh".repeat(6), maxTokens: 12, temperature: 0 };
const BUDGETS = [700_000, 520_000, 520_000];

async function answer(open) {
  const room = await openRoom({ url, budgets: BUDGETS, engine: "cpu", contextColumns: 64, open });
  try {
    const { ids } = await ask(room, REQUEST);
    return { ids, firefox: members(room)[1] };
  } finally {
    await closeRoom(room);
  }
}

test("Firefox holds a part of the model, and the answer is that of Chromium alone", async () => {
  const mixed = await answer((url, name) => (name === "phone 1" ? openFirefox(url, name) : EmulatedPhone.open(url, name)));
  assert.equal(mixed.firefox.engine, "Cpu");
  assert.ok(mixed.firefox.units.length > 0, "Firefox has units");
  assert.deepEqual(mixed.ids, (await answer(EmulatedPhone.open)).ids);
});

test("a Firefox that did not accept the certificate refuses it", async () => {
  await assert.rejects(openFirefox(url, "stranger", { trusting: false }), /SEC_ERROR|SSL|CERT/i);
});
