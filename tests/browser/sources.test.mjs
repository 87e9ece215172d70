// Where weights come from: rooms of two browser processes, of which one has the whole model in its storage.
import { after, test } from "node:test";
import assert from "node:assert/strict";
import { ask, Fleet, members } from "./room.mjs";

const url = process.env.LINGUALINKED_URL;
const REQUEST = { prompt: "abcdefgh".repeat(6), maxTokens: 24, temperature: 0 };
const OPTIONS = { url, engine: "cpu", contextColumns: 512 };
// Bytes: the model needs both phones.
const SMALL = [900_000, 800_000];

const WEIGHTS = /\/models\/[0-9a-f]+\/file/;

const fleet = new Fleet();
after(() => fleet.close());

const traffic = async (name) => (await (await fetch(`${url}/api/traffic`)).json())[name] ?? 0;
const guestOf = (room) => members(room)[1];
const notices = (phone) => phone.events.filter(({ type }) => type === "failed").map(({ fault }) => fault.code);

/** A room whose host has everything and whose guest has nothing in its storage. */
function open({ toHost = async () => {}, toGuest = async () => {} }) {
  const prepare = async (phone) => {
    if (phone.name === "host") return toHost(phone);
    await phone.page.evaluate(async () => (await navigator.storage.getDirectory()).removeEntry("lingualinked", { recursive: true }).catch(() => {}));
    return toGuest(phone);
  };
  return fleet.open({ ...OPTIONS, budgets: SMALL, prepare });
}

/** Changes what a phone's workers do when they send on a weights channel. */
const sending = (body) => (phone) => {
  const before = `
    const send = RTCDataChannel.prototype.send;
    RTCDataChannel.prototype.send = function (data) {
      if (this.label !== "weights") return send.call(this, data);
      const bytes = new Uint8Array(data.slice ? data.slice() : data);
      ${body}
    };
  `;
  return phone.patchWorkers(url, { before });
};

// The whole model goes into the host's storage.
const alone = await fleet.open({ ...OPTIONS, budgets: [undefined] });
const { ids: expected } = await ask(alone, REQUEST);

test("a phone that the server gives no weights gets them from the other phone", async () => {
  const before = await traffic("phone 1");
  let refused = 0;
  const room = await open({
    toGuest: (phone) => phone.page.route(WEIGHTS, (route) => {
      refused += 1;
      return route.abort();
    }),
  });
  assert.ok(room.plan.stages.length > 2, "the guest works");
  const guest = guestOf(room);
  assert.ok(guest.assigned_bytes > 0);
  assert.equal(guest.from_room_bytes, guest.assigned_bytes);
  assert.deepEqual([guest.fetched_bytes, guest.failed_sources], [0, 0]);
  assert.deepEqual((await ask(room, REQUEST)).ids, expected);
  assert.equal(refused, 0, "the server was not even asked");
  assert.equal(await traffic("phone 1"), before);
});

test("a phone that lies is found out, and the server gives what it should have given", async () => {
  const room = await open({ toHost: sending("if (bytes.length > 200) bytes[bytes.length >> 1] ^= 1; return send.call(this, bytes);") });
  const guest = guestOf(room);
  assert.equal(guest.fetched_bytes, guest.assigned_bytes);
  assert.deepEqual([guest.from_room_bytes, guest.failed_sources], [0, 1]);
  assert.ok(notices(room.phones[1]).includes("weights.false"));
  assert.deepEqual((await ask(room, REQUEST)).ids, expected);
});

test("a phone that says nothing is not waited for", async () => {
  const room = await open({ toHost: sending("return;") });
  const guest = guestOf(room);
  assert.equal(guest.fetched_bytes, guest.assigned_bytes);
  assert.deepEqual([guest.from_room_bytes, guest.failed_sources], [0, 1]);
  assert.deepEqual((await ask(room, REQUEST)).ids, expected);
});
