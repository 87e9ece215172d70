// Rooms behind an emulated network, which delays, loses and reorders packets. `cargo xtask lab` runs this, and `cargo xtask e2e --full` as root.
import { after, test } from "node:test";
import assert from "node:assert/strict";
import { behindHost, disturbed, planOf, rosterIs } from "./disturbance.mjs";
import { change, phonesIn, startServer } from "./lab.mjs";
import { ask, closeRoom, openRoom } from "./room.mjs";

const REQUEST = { prompt: "abcdefgh".repeat(6), maxTokens: 60, temperature: 0 };
/** A phone that nothing reaches is replaced by then. */
const ONE_WAY_MS = 15_000;
/** From opening the link to being listed at the host. */
const LISTED_MS = 5_000;
// Bytes: three of four phones are needed.
const BUDGETS = [800_000, 700_000, 700_000, 700_000];

const USUAL = { delay_ms: 5, jitter_ms: 0, rate_mbit: 50, loss_percent: 0 };

const server = await startServer();
const placeOf = new Map();
const opened = await openRoom({ url: server.url, budgets: BUDGETS, engine: "cpu", contextColumns: 512, open: phonesIn(placeOf) });
const { ids: expected } = await ask(opened, REQUEST);
const room = { ...opened, expected, byMember: new Map(opened.phones.map((phone, member) => [member, phone])) };
after(async () => {
  await closeRoom(room);
  await server.kill();
});

/** The time of an answer under other conditions, which must not change it. */
async function answered(conditions) {
  await change({ ...USUAL, ...conditions });
  try {
    const begun_ms = performance.now();
    const from = room.host.events.length;
    const { ids } = await ask(room, REQUEST, () => {}, 120_000);
    assert.deepEqual(ids, expected);
    assert.deepEqual(room.host.events.slice(from).filter((event) => event.type === "interrupted"), [], "nobody is given up");
    return Math.round((performance.now() - begun_ms) / ids.length);
  } finally {
    await change(USUAL);
  }
}

test("delay, loss and packets that overtake each other: slower, the same tokens, nobody given up", async () => {
  const usual = await answered({});
  console.log(`5 ms of delay: ${usual} ms per token`);
  for (const [what, conditions] of [
    ["5 % of packets lost", { loss_percent: 5 }],
    ["300 ms of delay", { delay_ms: 300 }],
    ["packets overtake each other (up to 40 ms)", { jitter_ms: 40 }],
  ]) {
    const slowed = await answered(conditions);
    console.log(`${what}: ${slowed} ms per token`);
    assert.ok(slowed > usual, "the fault took effect");
  }
});

test("nothing arrives on one way: the phone is replaced, the tokens are the same", async () => {
  const [deaf] = behindHost(room, planOf(room.host.events));
  const to = placeOf.get(deaf.name);
  const { resumed_ms, events } = await disturbed(room, REQUEST, expected, () => change({ ...USUAL, to, loss_percent: 100 }));
  console.log(`nothing reaches a phone: next token after ${Math.round(resumed_ms)} ms`);
  assert.ok(resumed_ms <= ONE_WAY_MS, `${resumed_ms} ms`);
  assert.ok(!behindHost(room, planOf(events)).includes(deaf));
  await change(USUAL);
  await rosterIs(room, room.phones, 20_000);
});

test("a link that is opened: listed within 5 s", async () => {
  const begun_ms = performance.now();
  const late = await phonesIn(placeOf)(server.url, "late");
  try {
    await late.start({ name: "late", client: "late", engine: "cpu", contextColumns: 512, budgetBytes: 700_000 });
    const from = room.host.events.length;
    await late.call("join", room.invitation);
    await room.host.until((event) => event.type === "members" && event.members.some(({ name }) => name === "late"), from);
    const listed_ms = Math.round(performance.now() - begun_ms);
    console.log(`listed ${listed_ms} ms after its browser was started`);
    assert.ok(listed_ms <= LISTED_MS, `${listed_ms} ms`);
  } finally {
    await late.close();
  }
});
