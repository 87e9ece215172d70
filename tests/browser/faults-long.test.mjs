// Faults that take their time: phones that freeze, block, come and go; rooms of browser processes. Only `--full` runs these.
import { after, test } from "node:test";
import assert from "node:assert/strict";
import { behindHost, disturbed, HOP_MS, openWatched, planOf, rosterIs } from "./disturbance.mjs";
import { ask, Fleet, members } from "./room.mjs";

const url = process.env.LINGUALINKED_URL;
const REQUEST = { prompt: "abcdefgh".repeat(6), maxTokens: 300, temperature: 0 };
const OPTIONS = { url, engine: "cpu", contextColumns: 512 };
// Bytes: all of three phones are needed, or three of four.
const NO_SPARE = { ...OPTIONS, budgets: [800_000, 700_000, 700_000] };
const ONE_SPARE = { ...OPTIONS, budgets: [800_000, 700_000, 700_000, 700_000] };

const FROZEN_MS = 10_000;
const BLOCKED_MS = 60_000;
const CYCLES_PER_ROOM = 25;
/** By then a browser has let go of a connection that was closed. */
const SETTLED_MS = 3_000;

const fleet = new Fleet();
after(() => fleet.close());

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const since = (begun_ms) => Math.round(performance.now() - begun_ms);

/** The tabs of a phone stop for a while; resolves as they go on. */
async function freeze(phone) {
  const processes = await phone.renderers();
  for (const pid of processes) process.kill(pid, "SIGSTOP");
  await pause(FROZEN_MS);
  for (const pid of processes) process.kill(pid, "SIGCONT");
}

test("a phone frozen for 10 s, with a spare one: replaced, and back within 5 s", async () => {
  const room = await openWatched(fleet, ONE_SPARE, REQUEST);
  const [frozen] = behindHost(room);
  let thawed_ms;
  const { resumed_ms, events } = await disturbed(room, REQUEST, room.expected, async () => {
    await freeze(frozen);
    thawed_ms = performance.now();
  });
  assert.ok(!behindHost(room, planOf(events)).includes(frozen), "replaced");
  await rosterIs(room, room.phones, 5_000);
  console.log(`frozen for 10 s: next token after ${Math.round(resumed_ms)} ms; back ${since(thawed_ms)} ms after it thawed`);
  assert.ok(resumed_ms <= 8_000);
  assert.deepEqual((await ask(room, REQUEST)).ids, room.expected);
});

test("a phone frozen for 10 s, without a spare one: the answer waits, and goes on within 2 s", async () => {
  const room = await openWatched(fleet, NO_SPARE, REQUEST);
  const [frozen] = behindHost(room);
  const { resumed_ms } = await disturbed(room, REQUEST, room.expected, () => freeze(frozen));
  console.log(`frozen for 10 s, no spare: next token ${Math.round(resumed_ms - FROZEN_MS)} ms after it thawed`);
  assert.ok(resumed_ms >= FROZEN_MS && resumed_ms <= FROZEN_MS + 2_000, `${resumed_ms} ms`);
  await rosterIs(room, room.phones);
});

test("a hidden page gives its units away before it is killed: nothing is interrupted", async () => {
  const room = await openWatched(fleet, ONE_SPARE, REQUEST);
  const { host } = room;
  const [hidden] = behindHost(room);
  const renderers = await hidden.renderers();
  const from = host.events.length;
  await host.slow(HOP_MS);
  const answer = ask(room, REQUEST);
  await host.until((event) => event.type === "token", from);
  const begun_ms = performance.now();
  await hidden.hide(true);
  await host.until((event) => event.type === "planned" && !behindHost(room, event.plan).includes(hidden), from, 20_000);
  await host.until((event) => event.type === "ready", from, 20_000);
  console.log(`its units are elsewhere ${since(begun_ms)} ms after it was hidden`);
  await hidden.kill(renderers);
  await rosterIs(room, room.phones.filter((phone) => phone !== hidden));
  const { ids } = await answer;
  await host.slow(0);
  assert.deepEqual(ids, room.expected);
  assert.deepEqual(host.events.slice(from).filter((event) => event.type === "interrupted"), []);
});

test("the phone that units move to is killed as they arrive: one whole plan, the same tokens", async () => {
  const room = await openWatched(fleet, ONE_SPARE, REQUEST);
  const ring = behindHost(room);
  const [spare] = room.phones.slice(1).filter((phone) => !ring.includes(phone));
  const renderers = await spare.renderers();
  const { resumed_ms, events } = await disturbed(room, REQUEST, room.expected, async () => {
    const isMoved = (event) => event.type === "planned" && behindHost(room, event.plan).includes(spare);
    const moved = room.host.until(isMoved, room.host.events.length);
    await ring[0].hide(true);
    await moved;
    await spare.kill(renderers);
  });
  console.log(`the receiver of a move killed: next token ${Math.round(resumed_ms)} ms after the page was hidden`);
  const plan = planOf(events);
  assert.deepEqual(plan.stages.map(({ units }) => units.start).slice(1), plan.stages.map(({ units }) => units.end).slice(0, -1), "one whole plan");
  assert.ok(!behindHost(room, plan).includes(spare));
  await rosterIs(room, room.phones.filter((phone) => phone !== spare));
});

test("a page whose main thread is blocked for 60 s stays, and answers go on", async () => {
  const room = await openWatched(fleet, NO_SPARE, REQUEST);
  const [blocked] = behindHost(room);
  const from = room.host.events.length;
  const block = blocked.page.evaluate((ms) => {
    for (const end = performance.now() + ms; performance.now() < end;);
  }, BLOCKED_MS);
  let over = false;
  void block.then(() => (over = true));
  let answers = 0;
  while (!over) {
    assert.deepEqual((await ask(room, REQUEST)).ids, room.expected);
    if (!over) answers += 1;
    await pause(1_000);
  }
  console.log(`${answers} answers while a main thread was blocked`);
  assert.ok(answers >= 5);
  assert.deepEqual(room.host.events.slice(from).filter((event) => event.type === "interrupted"), []);
});

test("an answer stopped at any moment ends within a token, and the next question is answered", async () => {
  const room = await openWatched(fleet, NO_SPARE, REQUEST);
  const { host } = room;
  for (const wait_ms of [0, 1, 3, 10, 30, 100, 300, 1_000]) {
    // A token takes longer than its event's way here: what is counted after the stop is what came after it.
    await host.slow(HOP_MS);
    const from = host.events.length;
    const question = await host.call("generate", REQUEST);
    await pause(wait_ms);
    await host.call("stop", question);
    const stopped = host.events.length;
    const { reason } = await host.until((event) => event.type === "finished", from);
    assert.equal(reason, "cancelled", `after ${wait_ms} ms`);
    assert.ok(host.events.slice(stopped).filter((event) => event.type === "token").length <= 1);
    await host.slow(0);
    assert.deepEqual((await ask(room, REQUEST)).ids, room.expected, `after a stop at ${wait_ms} ms`);
  }
});

test("100 times a phone joins and leaves: no ghosts, and nothing of them is left on the host's page", async () => {
  const [, guest] = (await fleet.open({ ...OPTIONS, budgets: [1_600_000, 700_000] })).phones;
  const counts = [];
  let room;
  for (let cycle = 0; cycle < 100; cycle += 1) {
    if (cycle % CYCLES_PER_ROOM === 0) {
      // A room has 32 seats, and a guest's is free two minutes after it left.
      room = await fleet.open({ ...OPTIONS, budgets: [1_600_000] });
    }
    await guest.start({ name: "guest", engine: "cpu", contextColumns: 512, budgetBytes: 700_000 });
    await guest.call("join", room.invitation);
    await guest.call("leave");
    if ((cycle + 1) % CYCLES_PER_ROOM === 0) {
      await rosterIs(room, room.phones);
      await pause(SETTLED_MS);
      counts.push(await handles(room.host));
    }
  }
  console.log(`after each ${CYCLES_PER_ROOM} cycles: ${JSON.stringify(counts)}`);
  for (const { connections, listeners } of counts) {
    assert.equal(connections, 0, "no connection is left");
    assert.equal(listeners, counts[0].listeners, "no listener more than before");
  }
  assert.equal(members(room).length, 1);
});

/** Peer connections and listeners of a page, after a garbage collection. */
async function handles(phone) {
  const page = await phone.context.newCDPSession(phone.page);
  await page.send("HeapProfiler.collectGarbage");
  await page.send("Performance.enable");
  const { metrics } = await page.send("Performance.getMetrics");
  await page.detach();
  const of = (name) => metrics.find((metric) => metric.name === name)?.value;
  return { connections: of("RTCPeerConnections"), listeners: of("JSEventListeners"), heap_kib: Math.round(of("JSHeapUsedSize") / 1024) };
}
