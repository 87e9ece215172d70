// Who is let into a room, and who is not, in one browser process; `cargo xtask e2e` starts the server that LINGUALINKED_URL names.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { EmulatedPhone, openBrowser } from "./chromium.mjs";
import { Interceptor } from "./interceptor.mjs";
import { areMeasured } from "./room.mjs";

const url = process.env.LINGUALINKED_URL;
/** Messages of a handshake, bytes: a greeting has this length, a proof at most that. */
const GREETING_BYTES = 34;
const MAX_PROOF_BYTES = 300;
/** A room has 32 seats, and each join takes one. */
const JOINS_PER_ROOM = 25;

let browser;
let model;
before(async () => {
  browser = await openBrowser();
  [model] = await (await fetch(`${url}/api/models`)).json();
});
after(() => browser?.close());

async function phone(name) {
  const phone = new EmulatedPhone(name, browser);
  phone.page = await browser.context.newPage();
  await phone.load(url);
  return phone;
}

/** Starts a room on a phone that is in none; its invitation. */
async function host(phone) {
  await phone.start({ name: phone.name, engine: "cpu", contextColumns: 64 });
  const { id, file, manifest } = model;
  return (await phone.call("host", { id, file, manifest })).invitation;
}

/** Why a phone that is in no room may not join. */
async function refused(phone, link) {
  await phone.start({ name: phone.name, engine: "cpu" });
  const joined = phone.call("join", link).then(() => assert.fail("it was let in"));
  return joined.catch((error) => error.fault ?? assert.fail(error));
}

const failures = (phone, from = 0) => phone.events.slice(from).filter((event) => event.type === "failed").map((event) => event.fault.code);
const parts = (invitation) => invitation.split(".");

test("links that were cut, changed or mixed up open nothing", async () => {
  const [first, second, guest] = [await phone("first"), await phone("second"), await phone("guest")];
  const one = await host(first);
  const other = await host(second);
  const [room, secret, key] = parts(one);
  const [otherRoom, otherSecret] = parts(other);
  for (const [link, code] of [
    [url, "invitation.incomplete"],
    [`${url}/#${room}`, "invitation.incomplete"],
    [one.slice(0, -1), "invitation.incomplete"],
    [`${one}a`, "invitation.malformed"],
    [one.replace(secret, `1${secret.slice(1)}`), "invitation.malformed"],
    [[room, otherSecret, key].join("."), "door.wrong_secret"],
    // Introduced to another host than the one of the invitation: a member, or the server, that poses as it.
    [[otherRoom, secret, key].join("."), "door.wrong_host"],
    [[otherRoom, otherSecret, key].join("."), "door.wrong_host"],
  ]) {
    const fault = await refused(guest, link);
    assert.equal(fault.code, code, link);
    assert.ok(fault.message.length > 0 && fault.remedy.length > 0);
  }
  for (const phone of [first, second]) {
    assert.deepEqual(phone.events.findLast((event) => event.type === "members").members.length, 1);
    assert.ok(failures(phone).every((code) => code === "door.wrong_secret" || code === "door.closed"), `${failures(phone)}`);
  }
  await guest.start({ name: "guest", engine: "cpu" });
  assert.equal(await guest.call("join", `${url}/#${one}`) > 0, true, "the whole link opens the room");
  for (const phone of [first, second, guest]) await phone.page.close();
});

test("a page of another version is told so within 2 s, whichever end is newer", async () => {
  const [starter, guest] = [await phone("host"), await phone("guest")];
  const invitation = await host(starter);
  for (const newer of ["offer", "answer"]) {
    await browser.context.route("**/api/rooms/*/messages", async (route) => {
      const request = JSON.parse(route.request().postData());
      const letter = JSON.parse(request.body);
      if (letter.type === newer) letter.protocol += 1;
      await route.continue({ postData: JSON.stringify({ ...request, body: JSON.stringify(letter) }) });
    });
    await guest.start({ name: "guest", engine: "cpu" });
    const began = performance.now();
    const fault = await guest.call("join", invitation).then(() => assert.fail("it was let in"), (error) => error.fault);
    const took_ms = performance.now() - began;
    assert.equal(fault.code, "proto.version");
    assert.match(fault.remedy, /^Reload the page/);
    assert.ok(took_ms <= 2000, `${took_ms} ms`);
    await browser.context.unroute("**/api/rooms/*/messages");
  }
  for (const phone of [starter, guest]) await phone.page.close();
});

test("the same link in two tabs of one browser makes two members that load side by side", async () => {
  const phones = [await phone("host"), await phone("tab 1"), await phone("tab 2")];
  const budgets = [700_000, 520_000, 520_000];
  for (const [index, phone] of phones.entries()) {
    await phone.start({ name: phone.name, client: phone.name, engine: "cpu", contextColumns: 64, budgetBytes: budgets[index] });
  }
  const [starter, ...tabs] = phones;
  const { id, file, manifest } = model;
  const { invitation } = await starter.call("host", { id, file, manifest });
  const numbers = await Promise.all(tabs.map((tab) => tab.call("join", invitation)));
  assert.deepEqual(numbers.sort(), [1, 2]);
  const told = await Promise.all(tabs.map((tab) => tab.until((event) => event.type === "joined")));
  assert.deepEqual(told.map((event) => event.member).sort(), [1, 2]);
  await starter.until(() => areMeasured(starter, 3));
  await starter.call("begin");
  await starter.until((event) => event.type === "ready");
  assert.equal(starter.events.findLast((event) => event.type === "planned").plan.stages.length, 4);
  for (const phone of phones) await phone.page.close();
});

const JOINS = Number(process.env.LINGUALINKED_INTERCEPTED_JOINS ?? 100);
test(`${JOINS} of ${JOINS} joins through a server that rewrites the introductions are refused before any application byte`, async () => {
  const [starter, guest, attacker] = [await phone("host"), await phone("guest"), await phone("attacker")];
  const interceptor = await Interceptor.between(browser.context, attacker.page);
  let refusals = 0;
  for (let done = 0; done < JOINS; done += JOINS_PER_ROOM) {
    const from = starter.events.length;
    const invitation = await host(starter);
    for (let join = done; join < Math.min(JOINS, done + JOINS_PER_ROOM); join++) {
      interceptor.rewrite = join % 2 === 1;
      const fault = await refused(guest, invitation);
      // A relayed proof is true and of another connection; a rewritten one is no proof.
      assert.equal(fault.code, interceptor.rewrite ? "door.wrong_host" : "door.intercepted", `join ${join}: ${fault.message}`);
      refusals += 1;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const seen = await interceptor.seen();
    for (const messages of seen) {
      for (const direction of ["to host", "to guest"]) {
        const passed = messages.filter((message) => message.direction === direction);
        const [greeting, proof] = passed;
        assert.equal(greeting.bytes, GREETING_BYTES, "the attack took effect");
        assert.ok(proof.bytes > GREETING_BYTES && proof.bytes <= MAX_PROOF_BYTES);
        assert.ok(passed.length === 2 && passed.every(({ channel }) => channel === 1), JSON.stringify(passed));
      }
    }
    const events = starter.events.slice(from);
    assert.ok(events.filter((event) => event.type === "members").every((event) => event.members.length === 1), "nobody joined");
    assert.equal(failures(starter, from).length, seen.length, "the host noticed every one");
    await starter.call("leave");
    await starter.page.waitForTimeout(500);
  }
  assert.equal(refusals, JOINS);
  assert.ok(!guest.events.some((event) => event.type === "joined"));

  await browser.context.unroute("**/api/rooms/*/messages");
  const invitation = await host(starter);
  await guest.start({ name: "guest", engine: "cpu" });
  assert.ok(await guest.call("join", invitation) > 0, "without the attacker, the same phones join");
});
