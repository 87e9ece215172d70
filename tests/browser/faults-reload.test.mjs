// The host's page is loaded again while an answer is written, or goes for good: rooms of three browser processes.
import { after, test } from "node:test";
import assert from "node:assert/strict";
import { HOP_MS, rosterIs } from "./disturbance.mjs";
import { ask, Fleet } from "./room.mjs";

const url = process.env.LINGUALINKED_URL;
// Not greedy: the sampler must go on where it was.
const REQUEST = { prompt: "abcdefgh".repeat(6), maxTokens: 400, temperature: 0.8, seed: 5 };
const OPTIONS = { url, engine: "cpu", contextColumns: 512, budgets: [800_000, 700_000, 700_000] };
const TOKENS_BEFORE = 30;
const PATIENCE_MS = 60_000;
const RELOADED_MS = 15_000;
const HOST_GONE_MS = 10_000;

const fleet = new Fleet();
after(() => fleet.close());

const traffic = async () => (await fetch(`${url}/api/traffic`)).json();
const tokens = (events) => events.filter((event) => event.type === "token").map(({ id }) => id);

const room = await fleet.open(OPTIONS);
const { host, phones } = room;
const { ids: expected } = await ask(room, REQUEST);
assert.equal(expected.length, REQUEST.maxTokens);

test("the host's page loaded again mid-answer: the room and its answer go on, and nothing is fetched again", async () => {
  const before = await traffic();
  const from = host.events.length;
  // The page that is loaded again has full speed.
  await host.slow(HOP_MS);
  await host.call("generate", REQUEST);
  await host.until(() => tokens(host.events.slice(from)).length >= TOKENS_BEFORE, from);
  const reloaded = host.events.length;
  const begun_ms = performance.now();
  const { invitation } = await host.reload();
  assert.equal(invitation, room.invitation, "the same link");
  const resumed = await host.until((event) => event.type === "resumed", reloaded, PATIENCE_MS);
  await host.until((event) => event.type === "token", host.events.indexOf(resumed), PATIENCE_MS);
  const resumed_ms = performance.now() - begun_ms;
  const finished = await host.until((event) => event.type === "finished", reloaded, PATIENCE_MS);
  const shown = tokens(host.events.slice(from, host.events.indexOf(resumed)));
  const rest = tokens(host.events.slice(host.events.indexOf(resumed)));
  console.log(`reloaded at token ${shown.length} of ${finished.ids.length}: next token after ${Math.round(resumed_ms)} ms`);
  assert.ok(shown.length >= TOKENS_BEFORE && resumed.ids.length < expected.length, "the answer was under way");
  assert.ok(resumed.ids.length >= shown.length, "what was shown is there");
  assert.deepEqual(finished.ids, expected, "the same tokens as without the reload");
  assert.deepEqual(shown, expected.slice(0, shown.length));
  assert.deepEqual(rest, expected.slice(resumed.ids.length), "no token twice, none missing");
  assert.ok(finished.text.startsWith(resumed.text));
  assert.ok(resumed_ms <= RELOADED_MS, `${resumed_ms} ms`);
  assert.deepEqual(await traffic(), before, "no byte of the model was fetched again, by anybody");
  await rosterIs(room, phones);
});

test("the room goes on: the next question is answered", async () => {
  assert.deepEqual((await ask(room, REQUEST)).ids, expected);
});

test("a duplicate of the host's tab does not take the room", async () => {
  const kept = await host.page.evaluate(() => ({ ...sessionStorage }));
  const duplicate = await host.context.newPage();
  await duplicate.goto(`${url}/harness.html`);
  const code = await duplicate.evaluate(async (kept) => {
    Object.assign(sessionStorage, kept);
    const { Phone } = await window.lingualinked;
    return Phone.reloaded().resume().then(() => "resumed", (fault) => fault.code);
  }, kept);
  await duplicate.close();
  assert.equal(code, "page.other_tab");
  assert.deepEqual((await ask(room, REQUEST)).ids, expected);
});

test("a host that goes for good: the others are told", async () => {
  const from = phones.map((phone) => phone.events.length);
  const begun_ms = performance.now();
  await host.context.newPage();
  await host.page.close();
  const told = (phone, index) => phone.until((event) => event.type === "interrupted", from[index], 2 * HOST_GONE_MS);
  const faults = await Promise.all(phones.slice(1).map((phone, index) => told(phone, index + 1)));
  const told_ms = performance.now() - begun_ms;
  console.log(`the host is gone: told after ${Math.round(told_ms)} ms`);
  assert.deepEqual(faults.map(({ fault }) => fault.code), ["host.lost", "host.lost"]);
  assert.ok(told_ms <= HOST_GONE_MS, `${told_ms} ms`);
});
