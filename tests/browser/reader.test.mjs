// A phone that stops reading, with the default model: rooms of two browser processes. Only `--full` runs this.
import { after, test } from "node:test";
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { ask, Fleet, members } from "./room.mjs";

const url = process.env.LINGUALINKED_URL;
const MIB = 2 ** 20;
const OPTIONS = { url, engine: "cpu", contextColumns: 1024 };
const REQUEST = { prompt: "Once upon a time, in a small village by the sea, ".repeat(40), maxTokens: 4, temperature: 0 };
/** Less than what makes the room give up a phone. */
const STOPPED_MS = 2_000;
const BEGUN_BYTES = 64 << 10;
const MOST_BUFFERED_BYTES = 4 * MIB;

const fleet = new Fleet();
after(() => fleet.close());

/** In a worker: remembers, for each kind of channel, how much was sent and the most that was waiting in the browser. */
function watchChannels() {
  if (self.channels) return;
  self.channels = {};
  const { send } = RTCDataChannel.prototype;
  RTCDataChannel.prototype.send = function (data) {
    send.call(this, data);
    const channel = (self.channels[this.label] ??= { sent_bytes: 0, buffered_bytes: 0 });
    channel.sent_bytes += data.byteLength;
    channel.buffered_bytes = Math.max(channel.buffered_bytes, this.bufferedAmount);
  };
}

const seen = async (phone, label) => (await phone.inWorkers(() => self.channels ?? {})).map((channels) => channels[label]).find(Boolean) ?? { sent_bytes: 0, buffered_bytes: 0 };

/** A phone's tabs stand still as soon as the host has begun to send it `label`; returns what the host's browser kept meanwhile. */
async function stopReading(host, guest, label) {
  const renderers = await guest.renderers();
  await host.inWorkers(watchChannels);
  while ((await seen(host, label)).sent_bytes < BEGUN_BYTES) await pause(2);
  for (const pid of renderers) process.kill(pid, "SIGSTOP");
  try {
    await pause(STOPPED_MS);
    return await seen(host, label);
  } finally {
    for (const pid of renderers) process.kill(pid, "SIGCONT");
  }
}

const alone = await fleet.open({ ...OPTIONS, budgets: [undefined] });
const { ids: expected } = await ask(alone, REQUEST);

const [weights, states] = ["weights", "activation"];
let stoppedLoading;
const phones = new Map();
const room = await fleet.open({
  ...OPTIONS,
  budgets: [85 * MIB, 85 * MIB],
  prepare: async (phone) => {
    phones.set(phone.name, phone);
    if (phone.name === "host") return;
    await phone.page.evaluate(async () => (await navigator.storage.getDirectory()).removeEntry("lingualinked", { recursive: true }).catch(() => {}));
  },
  isOpen: (event) => {
    if (event.type === "planned") stoppedLoading ??= stopReading(phones.get("host"), phones.get("phone 1"), weights);
    return event.type === "ready";
  },
});

test("a phone that stops reading weights: the other waits, with at most 4 MiB in its browser", async () => {
  const { sent_bytes, buffered_bytes } = await stoppedLoading;
  console.log(`weights: ${sent_bytes} bytes sent, at most ${buffered_bytes} of them waiting`);
  assert.ok(sent_bytes < members(room)[1].from_room_bytes, "it stopped before it had them all");
  assert.ok(buffered_bytes > 0 && buffered_bytes <= MOST_BUFFERED_BYTES);
});

test("a phone that stops reading hidden states: the same", async () => {
  const [host, guest] = room.phones;
  const stopped = stopReading(host, guest, states);
  const { ids } = await ask(room, REQUEST);
  const { sent_bytes, buffered_bytes } = await stopped;
  const all_bytes = (await seen(host, states)).sent_bytes;
  console.log(`hidden states: ${sent_bytes} bytes sent of ${all_bytes}, at most ${buffered_bytes} of them waiting`);
  assert.ok(sent_bytes < all_bytes, "it stopped before it had them all");
  assert.ok(buffered_bytes > 0 && buffered_bytes <= MOST_BUFFERED_BYTES);
  assert.deepEqual(ids, expected);
});
