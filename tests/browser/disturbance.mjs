// An answer during which something happens to the room.
import assert from "node:assert/strict";
import { ask, members } from "./room.mjs";

/** An answer takes no longer, whatever happens to it. */
const LONGEST_ANSWER_MS = 60_000;
/** Until the fault has been dealt with, a token takes this long at least: else the answer could be over before the fault takes effect. */
export const HOP_MS = 20;

const isToken = (event) => event.type === "token";

/** A room of a fleet, whose phones are known by number, with the answer that it gives undisturbed. */
export async function openWatched(fleet, options, request) {
  const room = await fleet.open(options);
  const { phones } = room;
  const expected = (await ask(room, request)).ids;
  assert.equal(expected.length, request.maxTokens);
  return { ...room, options, expected, byMember: new Map(phones.map((phone, member) => [member, phone])) };
}

export const planOf = (events) => events.findLast((event) => event.type === "planned").plan;
/** Phones behind the host, in ring order. */
export const behindHost = (room, plan = room.plan) => plan.stages.slice(1, -1).map(({ member }) => room.byMember.get(member));

/** A phone is opened again, in another tab unless told how, joins by the same link, and is measured. */
export async function comeBack(room, phone, open = () => phone.reopen(room.options.url)) {
  const { engine, contextColumns, budgets } = room.options;
  await open();
  await phone.start({ name: phone.name, client: phone.name, engine, contextColumns, budgetBytes: budgets[room.phones.indexOf(phone)] });
  const number = await phone.call("join", room.invitation);
  room.byMember.set(number, phone);
  const isMeasured = () => members(room).some(({ member, measured }) => member === number && measured.length > 0);
  if (!isMeasured()) await room.host.until(isMeasured, room.host.events.length);
}

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
    if (noticed && resumed_ms === undefined) {
      resumed_ms = performance.now() - begun_ms;
      void done.then(() => host.slow(0));
    }
    if (count === tokens) {
      begun_ms = performance.now();
      done = fault();
    }
  };
  host.listeners.add(watch);
  await host.slow(HOP_MS);
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
    await host.slow(0);
  }
}

/** Waits until the host sees exactly these phones. */
export async function rosterIs(room, phones, limit_ms = 10_000) {
  const names = phones.map(({ name }) => name).sort().join();
  const seen = () => members(room).map(({ name }) => name).sort().join();
  if (seen() !== names) await room.host.until(() => seen() === names, room.host.events.length, limit_ms);
}
