// Phones that vanish while an answer is written, in rooms of three browser processes; `cargo xtask e2e` starts the server.
import { test } from "node:test";
import assert from "node:assert/strict";
import { ask, closeRoom, openRoom } from "./room.mjs";

const url = process.env.LINGUALINKED_URL;
const REQUEST = { prompt: "abcdefgh".repeat(6), maxTokens: 400, temperature: 0 };
// Bytes: any two of the three phones hold the model.
const BUDGETS = [1_100_000, 1_100_000, 1_100_000];

const TAB_CLOSED_MS = 5_000;

/** Opens a room, asks, and after `tokens` tokens does `fault` to the first phone behind the host. Ms from there to the next token. */
async function interrupted(fault, { tokens = 4 } = {}) {
  const room = await openRoom({ url, budgets: BUDGETS, engine: "cpu", contextColumns: 512 });
  try {
    const lost = room.phones[room.plan.stages[1].member];
    const { ids: expected } = await ask(room, REQUEST);
    const from = room.host.events.length;
    const texts = [];
    let faultAt, resumedAfter;
    const answer = ask(room, REQUEST, (text) => {
      texts.push(text);
      if (faultAt && resumedAfter === undefined) resumedAfter = performance.now() - faultAt;
      if (texts.length === tokens && !faultAt) {
        void fault(lost).then(() => { faultAt = performance.now(); });
      }
    });
    const { ids } = await answer;
    const seen = room.host.events.slice(from);
    const took = seen.some((event) => event.type === "interrupted");
    assert.ok(took, "the fault took effect");
    assert.deepEqual(ids, expected, "the same tokens as without the fault");
    assert.equal(seen.filter((event) => event.type === "token").length, ids.length, "no token twice, none missing");
    const { plan } = seen.findLast((event) => event.type === "planned");
    return { plan, lost, resumedAfter };
  } finally {
    await closeRoom(room);
  }
}

test("a tab closed while a token is computed: the answer goes on with the same tokens", async () => {
  const { resumedAfter } = await interrupted((lost) => lost.page.close());
  console.log(`next token after ${Math.round(resumedAfter)} ms`);
  assert.ok(resumedAfter <= TAB_CLOSED_MS, `${resumedAfter} ms`);
});
