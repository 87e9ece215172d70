// What a server may do to a room: nothing. It dies, it comes back, it listens; three browser processes and a tiny random-weight model.
import { test } from "node:test";
import assert from "node:assert/strict";
import { EmulatedPhone } from "./chromium.mjs";
import { hold } from "./holder.mjs";
import { OwnServer } from "./own-server.mjs";
import { record } from "./recorder.mjs";
import { ask, closeRoom, openRoom } from "./room.mjs";

const longest = (gaps) => Math.max(...gaps);
/** Between the tokens of an answer, on the host's clock. */
const gapsMs = (tokens) => tokens.slice(1).map((token, index) => token.atMs - tokens[index].atMs);

test("a server killed and started again during an answer delays no token, and a new phone joins within 10 s", async () => {
  let server = await OwnServer.start();
  const { url, port } = server;
  const late = await EmulatedPhone.open(url, "late");
  const room = await openRoom({ url, budgets: [900_000, 700_000, 700_000], engine: "cpu", contextColumns: 512 });
  try {
    assert.ok(room.plan.stages.length > 2, "several phones work");
    const request = { prompt: "abcdefgh", maxTokens: 400, temperature: 0 };
    const tokensFrom = (from) => room.host.events.slice(from).filter((event) => event.type === "token");
    let from = room.host.events.length;
    const undisturbed = await ask(room, request);
    const usual = longest(gapsMs(tokensFrom(from)));

    from = room.host.events.length;
    const reached = (count) => room.host.until(() => tokensFrom(from).length >= count, from);
    await room.host.call("generate", request);
    await reached(50);
    await server.kill();
    const killedAt = tokensFrom(from).length;
    await reached(killedAt + 50);
    server = await OwnServer.start(port);
    const backAt = tokensFrom(from).length;
    const back = performance.now();
    await late.load(url);
    await late.start({ name: "late", client: "late", engine: "cpu", budgetBytes: 700_000, contextColumns: 512 });
    await late.call("join", room.invitation);
    const joined_ms = performance.now() - back;
    const finished = await room.host.until((event) => event.type === "finished", from);

    assert.deepEqual(finished.ids, undisturbed.ids);
    const disturbed = longest(gapsMs(tokensFrom(from)));
    console.log(`killed at token ${killedAt}, back at ${backAt} of ${finished.ids.length}; longest gap ${disturbed.toFixed(0)} ms, `
      + `${usual.toFixed(0)} ms undisturbed; a new phone was in ${joined_ms.toFixed(0)} ms after the server was back`);
    assert.ok(killedAt < finished.ids.length - 50, "the answer was under way");
    assert.ok(disturbed <= Math.max(500, 3 * usual), "no token is late");
    assert.ok(joined_ms <= 10_000, "the new phone is in");
  } finally {
    await closeRoom(room);
    await late.close();
    await server.kill();
  }
});

/** A text as it might be written on the way. */
function guises(text) {
  const bytes = Buffer.from(text);
  // Base64 of a part, wherever it begins.
  const base64 = [0, 1, 2].map((skip) => bytes.subarray(skip).toString("base64").slice(0, -4));
  return [text, text.toUpperCase(), encodeURIComponent(text), bytes.toString("hex"), ...base64];
}

test("prompt and secret reach neither the server's network nor its log", async () => {
  const server = await OwnServer.start(0, ["--log", "debug", "--log-format", "json"]);
  const wire = await record(server.port);
  const prompt = "canary sings zyxwvut";
  try {
    const room = await openRoom({ url: wire.url, budgets: [700_000, 520_000, 520_000], engine: "cpu", contextColumns: 64 });
    const [name, secret, host] = room.invitation.split("=").at(-1).split(".");
    const late = await EmulatedPhone.open(wire.url, "late");
    try {
      await ask(room, { prompt, maxTokens: 4, temperature: 0 });
      // As a person opens a link: with the secret in the address of the page.
      await late.load(wire.url, `#${room.invitation}`);
      await late.start({ name: "late", client: "late", engine: "cpu", budgetBytes: 520_000, contextColumns: 64 });
      await late.call("join", await late.page.evaluate(() => location.href));
    } finally {
      await closeRoom(room);
      await late.close();
    }
    const seen = wire.up();
    assert.ok(seen.includes(`/api/rooms/${name}/messages`) && seen.includes("a=fingerprint"), "the recorder hears what is said");
    assert.match(server.log, /"route":"\/api\/rooms\/\{room\}\/messages"/, "the log tells every request");
    for (const [what, texts] of [["traffic", seen + wire.down()], ["log", server.log]]) {
      for (const canary of [prompt, secret, host]) {
        for (const guise of guises(canary)) assert.ok(!texts.includes(guise), `${what} has ${guise}`);
      }
    }
    const keys = [...seen.matchAll(/authorization: Bearer [a-z0-9]+\.([0-9a-f]+)/gi)].map(([, key]) => key);
    assert.ok(keys.length > 0);
    for (const quiet of [name, ...keys, "127.0.0.1"]) assert.ok(!server.log.includes(quiet), `the log has ${quiet}`);
  } finally {
    wire.close();
    await server.kill();
  }
});

test("phones join where streams are held back", async () => {
  const server = await OwnServer.start();
  const proxy = await hold(server.port);
  try {
    const started = performance.now();
    const room = await openRoom({ url: proxy.url, budgets: [700_000, 520_000, 520_000], engine: "cpu", contextColumns: 64 });
    console.log(`a room of three behind a proxy that holds streams back was ready after ${(performance.now() - started).toFixed(0)} ms`);
    await closeRoom(room);
  } finally {
    proxy.close();
    await server.kill();
  }
});

test("a page that breaks its policy is noticed, and so is a worker", async () => {
  const server = await OwnServer.start();
  const phone = await EmulatedPhone.open(server.url, "host");
  const reports = async (wanted) => {
    const patience = performance.now() + 10_000;
    const count = async () => (await fetch(`${server.url}/api/policy-reports`)).json();
    while ((await count()) < wanted && performance.now() < patience) await new Promise((resolve) => setTimeout(resolve, 50));
    return count();
  };
  try {
    const [{ id, file, manifest }] = await (await fetch(`${server.url}/api/models`)).json();
    await phone.start({ name: "host", engine: "cpu" });
    await phone.call("host", { id, file, manifest });
    const workers = phone.page.workers();
    assert.ok(workers.length >= 2);
    assert.equal(await reports(0), 0);
    const elsewhere = () => fetch("https://elsewhere.invalid/").catch(() => {});
    await phone.page.evaluate(elsewhere);
    assert.equal(await reports(1), 1);
    for (const worker of workers) await worker.evaluate(elsewhere);
    assert.equal(await reports(1 + workers.length), 1 + workers.length);
  } finally {
    await phone.close();
    await server.kill();
  }
});
