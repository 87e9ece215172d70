// Phones that cannot load their share: rooms of browser processes. Only `--full` runs these.
import { after, test } from "node:test";
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { behindHost, comeBack, disturbed, openWatched, planOf, rosterIs } from "./disturbance.mjs";
import { Fleet, members } from "./room.mjs";

const url = process.env.LINGUALINKED_URL;
const REQUEST = { prompt: "abcdefgh".repeat(6), maxTokens: 60, temperature: 0 };
const OPTIONS = { url, engine: "cpu", contextColumns: 512 };
/** Room for half of a share, not for more. */
const HALF_BYTES = 550_000;
/** By then the host has heard of a phone that loads. */
const HEARD_MS = 2_000;
const REPLANNED_MS = 10_000;

const WEIGHTS = /\/models\/[0-9a-f]+\/file/;

const fleet = new Fleet();
after(() => fleet.close());

const since = (begun_ms) => Math.round(performance.now() - begun_ms);
const isReady = (event) => event.type === "ready";
const isInterrupted = (code) => (event) => event.type === "interrupted" && event.fault.code === code;
const view = (room, phone) => members(room).find(({ name }) => name === phone.name);

/** Puts a script in front of a phone's workers. */
const patched = (script) => (phone) => phone.patchWorkers(url, { before: script });

/** A device of which a test can say how many bytes of memory it has left: what is created beyond them is reported as a driver reports it. */
const LIMITED_GPU = `
  const { createBuffer, popErrorScope } = GPUDevice.prototype;
  self.left_bytes = Infinity;
  self.refused = 0;
  GPUDevice.prototype.createBuffer = function (descriptor) {
    self.left_bytes -= descriptor.size;
    return createBuffer.call(this, descriptor);
  };
  GPUDevice.prototype.popErrorScope = async function () {
    const error = await popErrorScope.call(this);
    if (error || self.left_bytes >= 0) return error;
    self.left_bytes = Infinity;
    self.refused += 1;
    return new GPUOutOfMemoryError("emulated");
  };
`;

test("a GPU without memory for its share: half of it is asked of that phone, and the room is planned anew", async () => {
  const options = { ...OPTIONS, engine: "gpu", budgets: [1_000_000, 1_000_000, 1_000_000, 1_000_000] };
  const room = await openWatched(fleet, { ...options, prepare: patched(LIMITED_GPU) }, REQUEST);
  const [lost] = behindHost(room);
  const renderers = await lost.renderers();
  const spare = room.phones.slice(1).filter((phone) => phone !== lost);
  for (const phone of spare) await phone.inWorkers((bytes) => (self.left_bytes = bytes), HALF_BYTES);
  const { resumed_ms, events } = await disturbed(room, REQUEST, room.expected, () => lost.kill(renderers));
  const refusals = await Promise.all(spare.map((phone) => phone.inWorkers(() => self.refused)));
  const short = spare[refusals.findIndex((workers) => workers.some((refused) => refused > 0))];
  assert.ok(short, "the fault took effect");
  assert.ok(events.some(isInterrupted("engine.gpu_limit")));
  console.log(`out of GPU memory: next token ${Math.round(resumed_ms)} ms after its predecessor was killed`);
  assert.ok(resumed_ms <= REPLANNED_MS, `${resumed_ms} ms`);
  assert.ok(behindHost(room, planOf(events)).some((phone) => phone !== short), "half a share is not enough: another phone helps");
});

/** Nothing is in the phone's storage. Weights do not come to a guest, and loading lasts; the header is what comes first. */
async function stalled(phone) {
  await phone.page.evaluate(async () => (await navigator.storage.getDirectory()).removeEntry("lingualinked", { recursive: true }).catch(() => {}));
  if (phone.name === "host") return;
  await phone.page.route(WEIGHTS, (route) => {
    const [, first] = route.request().headers().range.match(/(\d+)-(\d+)/).map(Number);
    return first === 0 ? route.continue() : undefined;
  });
}

test("a tab that crashes while it loads, twice: asked for half its share once, then it only watches", async () => {
  const isPlanned = (event) => event.type === "planned";
  const options = { ...OPTIONS, budgets: [900_000, 800_000, 700_000], prepare: stalled };
  const opened = await fleet.open({ ...options, isOpen: isPlanned });
  const room = { ...opened, options, byMember: new Map(opened.phones.map((phone, member) => [member, phone])) };
  const { host } = room;
  const [crashing] = behindHost(room);
  const share_bytes = () => view(room, crashing)?.assigned_bytes;
  /** The phone's tab crashes while it loads, and its browser loads the page again. */
  const crash = async () => {
    const from = host.events.length;
    assert.equal(view(room, crashing).loaded_bytes, 0, "it still loads");
    // What belongs to a tab is there again when its browser loads it after a crash.
    const kept = await crashing.page.evaluate(() => ({ ...sessionStorage }));
    await crashing.kill(await crashing.renderers());
    await host.until(isInterrupted("capacity"), from);
    await comeBack(room, crashing, async () => {
      await crashing.reopen(url);
      await crashing.page.evaluate((kept) => Object.assign(sessionStorage, kept), kept);
      await stalled(crashing);
    });
    await pause(HEARD_MS);
  };
  await pause(HEARD_MS);
  const whole_bytes = share_bytes();
  await crash();
  const half_bytes = share_bytes();
  console.log(`${whole_bytes} bytes of weights before the first crash, ${half_bytes} after it`);
  assert.ok(half_bytes > 0 && half_bytes <= whole_bytes / 2);
  await crash();
  assert.equal(share_bytes(), 0, "it only watches");
  await rosterIs(room, room.phones);
});
