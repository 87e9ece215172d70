// An answer during which something happens to the room.
import assert from "node:assert/strict";
import { ask, members } from "./room.mjs";

/** An answer takes no longer, whatever happens to it. */
const LONGEST_ANSWER_MS = 60_000;

const isToken = (event) => event.type === "token";

/**
 * Asks, and does `fault` when `tokens` tokens are there. The answer must be `expected`, and the room must have noticed.
 * Returns the host's events from the question on, and ms from the beginning of the fault to the first token after the room noticed.
 */
export async function disturbed(room, request, expected, fault, { tokens = 4 } = {}) {
  const { host } = room;
  const from = host.events.length;
  let count = 0;
  let begun_ms, noticed, resumed_ms;
  let done = Promise.resolve();
  const watch = (event) => {
    if (event.type === "interrupted" && begun_ms !== undefined) noticed ??= event.fault;
    if (!isToken(event)) return;
    count += 1;
    if (noticed) resumed_ms ??= performance.now() - begun_ms;
    if (count === tokens) {
      begun_ms = performance.now();
      done = fault();
    }
  };
  host.listeners.add(watch);
  try {
    const { ids } = await ask(room, request, () => {}, LONGEST_ANSWER_MS);
    await done;
    assert.ok(noticed, "the fault took effect: the room was interrupted");
    assert.deepEqual(ids, expected, "the same tokens as without the fault");
    const events = host.events.slice(from);
    assert.equal(events.filter(isToken).length, ids.length, "no token twice, none missing");
    return { resumed_ms, noticed, events };
  } finally {
    host.listeners.delete(watch);
  }
}

/** Waits until the host sees exactly these phones. */
export async function rosterIs(room, phones, limit_ms = 10_000) {
  const names = phones.map(({ name }) => name).sort().join();
  const seen = () => members(room).map(({ name }) => name).sort().join();
  if (seen() !== names) await room.host.until(() => seen() === names, room.host.events.length, limit_ms);
}
