// Weights that are damaged, storage that is full, a GPU that is lost: rooms of two browser processes, each with a part of the model.
import { after, test } from "node:test";
import assert from "node:assert/strict";
import { patchWorkers } from "./chromium.mjs";
import { disturbed } from "./disturbance.mjs";
import { ask, Fleet, members } from "./room.mjs";

const url = process.env.LINGUALINKED_URL;
const REQUEST = { prompt: "abcdefgh".repeat(6), maxTokens: 120, temperature: 0 };
// Bytes: the model needs both phones.
const OPTIONS = { url, engine: "cpu", contextColumns: 512, budgets: [900_000, 800_000] };
const FULL = process.env.LINGUALINKED_FULL !== undefined;
const DEVICE_LOST_MS = 10_000;
/** Failures for which the room gives a phone nothing any more (`FAILURES` in crates/session). */
const STRIKES = 3;

const WEIGHTS = /\/models\/[0-9a-f]+\/file/;

const fleet = new Fleet();
after(() => fleet.close());

const traffic = async (name) => (await (await fetch(`${url}/api/traffic`)).json())[name] ?? 0;
/** The phone whose part of the model only it has. */
const guestOf = (room) => room.phones[1];
const codes = (phone, type) => phone.events.filter((event) => event.type === type).map(({ fault }) => fault.code);

/** A room in which something was done to the guest before it joined, with no weights in its storage. */
function open(doToGuest, options = {}) {
  const prepare = async (phone) => {
    if (phone.name === "host") return;
    await phone.page.evaluate(async () => (await navigator.storage.getDirectory()).removeEntry("lingualinked", { recursive: true }).catch(() => {}));
    await doToGuest(phone);
  };
  return fleet.open({ ...OPTIONS, ...options, prepare });
}

/** Flips a bit in the middle of the first `flips` answers with weights that a phone gets; returns all of its requests. */
async function damage(phone, flips) {
  const asked = [];
  await phone.page.route(WEIGHTS, async (route) => {
    const [, first, last] = route.request().headers().range.match(/(\d+)-(\d+)/).map(Number);
    if (first === 0) return route.continue();
    const answer = await route.fetch();
    const body = await answer.body();
    const at = body.length >> 1;
    const flip = asked.length < flips;
    if (flip) body[at] ^= 1;
    asked.push({ first, last, flipped: flip ? first + at : undefined });
    return route.fulfill({ response: answer, body });
  });
  return asked;
}

const room = await fleet.open(OPTIONS);
assert.ok(room.plan.stages.length > 2, "the guest works");
const { ids: expected } = await ask(room, REQUEST);

test("a bit that flips on the way: that chunk is fetched once more, and nothing that was whole", async () => {
  let asked;
  const room = await open(async (guest) => (asked = await damage(guest, 1)));
  assert.deepEqual((await ask(room, REQUEST)).ids, expected);
  const manifest = await (await fetch(url + room.model.manifest)).json();
  const [{ flipped, last }, again] = asked;
  assert.ok(flipped !== undefined, "the fault took effect");
  const damaged = manifest.chunks.find(({ offset, bytes }) => offset <= flipped && flipped < offset + bytes);
  assert.deepEqual([again.first, again.last], [damaged.offset, last], "what came before the damage is not fetched again");
  const starts = asked.slice(1).map(({ first }) => first);
  assert.equal(new Set(starts).size, starts.length, "fetched again once");
});

test("a bit that flips every time is a typed error, and the room stops asking that phone", async () => {
  let asked;
  const lacksMemory = (event) => event.type === "interrupted" && event.fault.code === "capacity";
  const room = await open(async (guest) => (asked = await damage(guest, Infinity)), { isOpen: lacksMemory });
  const [host, guest] = room.phones;
  assert.deepEqual(codes(guest, "failed"), Array(STRIKES).fill("model.chunk_hash"));
  assert.deepEqual(codes(host, "interrupted"), [...Array(STRIKES).fill("model.chunk_hash"), "capacity"]);
  assert.equal(asked.filter(({ flipped }) => flipped !== undefined).length, 2 * STRIKES);
});

test("a bit flipped in every stored chunk: each is noticed and fetched again", async () => {
  let room = await fleet.open(OPTIONS);
  const guest = guestOf(room);
  const damaged_bytes = await guest.page.evaluate(async () => {
    let folder = await navigator.storage.getDirectory();
    for (const name of ["lingualinked", "chunks"]) folder = await folder.getDirectoryHandle(name);
    let bytes = 0;
    for await (const file of folder.values()) {
      const content = new Uint8Array(await (await file.getFile()).arrayBuffer());
      content[content.length >> 1] ^= 1;
      const out = await file.createWritable();
      await out.write(content);
      await out.close();
      bytes += content.length;
    }
    return bytes;
  });
  const before = await traffic(guest.name);
  room = await fleet.open(OPTIONS);
  assert.deepEqual((await ask(room, REQUEST)).ids, expected);
  const fetched = (await traffic(guest.name)) - before;
  assert.ok(damaged_bytes > 0);
  // The header is the one thing that both phones have.
  const { header_bytes } = await (await fetch(url + room.model.manifest)).json();
  const damaged_alone_bytes = damaged_bytes - header_bytes;
  console.log(`${damaged_bytes} bytes stored and damaged, ${fetched} fetched again`);
  assert.ok(fetched >= damaged_alone_bytes && fetched <= 1.1 * damaged_alone_bytes, `${fetched} of ${damaged_alone_bytes}`);
  const again = await traffic(guest.name);
  room = await fleet.open(OPTIONS);
  assert.equal(await traffic(guest.name), again, "what was fetched again was stored again");
});

test("storage full halfway: the phone runs from memory and says so", () => runsFromMemory(200_000));
for (const [share, quota_bytes] of [["at once", 0], ["at the end", 385_000]]) {
  test(`storage full ${share}: the phone runs from memory and says so`, { skip: !FULL }, () => runsFromMemory(quota_bytes));
}

async function runsFromMemory(quota_bytes) {
  const room = await open(async (guest) => {
    const page = await guest.context.newCDPSession(guest.page);
    await page.send("Storage.overrideQuotaForOrigin", { origin: url, quotaSize: quota_bytes });
  });
  assert.deepEqual((await ask(room, REQUEST)).ids, expected);
  const told = guestOf(room).events.filter((event) => event.type === "failed").map(({ fault, fatal }) => [fault.code, fatal]);
  assert.deepEqual(told, [["browser.no_storage", false]]);
}

/** Keeps what the engine worker asks the browser for, so that a test can lose it. */
const KEEP_DEVICES = `
  const request = GPUAdapter.prototype.requestDevice;
  self.devices = [];
  GPUAdapter.prototype.requestDevice = async function (...options) {
    const device = await request.apply(this, options);
    self.devices.push(device);
    return device;
  };
`;

test("a GPU device that is lost mid-token: back from storage, with the same tokens", async () => {
  const hook = (guest) => patchWorkers(guest.page, { after: KEEP_DEVICES });
  const room = await open(hook, { engine: "gpu" });
  const { ids } = await ask(room, REQUEST);
  const guest = guestOf(room);
  const fetched = await traffic(guest.name);
  const { resumed_ms, noticed } = await disturbed(room, REQUEST, ids, async () => {
    const destroyed = await guest.inWorkers(() => {
      self.devices.forEach((device) => device.destroy());
      return self.devices.length;
    });
    assert.ok(destroyed.some((devices) => devices > 0), "there was a device to lose");
  });
  console.log(`GPU device lost: next token after ${Math.round(resumed_ms)} ms`);
  assert.equal(noticed.code, "engine.device_lost");
  assert.ok(resumed_ms <= DEVICE_LOST_MS, `${resumed_ms} ms`);
  assert.equal(await traffic(guest.name), fetched, "no weight is fetched again");
  assert.deepEqual(members(room).map(({ engine }) => engine), ["Gpu", "Gpu"]);
});
