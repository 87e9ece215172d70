// Models at an address: a site beside the server, which sends on to another for the bytes, as sites with models do.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OwnServer } from "./own-server.mjs";
import { Person } from "./person.mjs";
import { ask, Fleet, members, openRoom } from "./room.mjs";

const REQUEST = { prompt: "abcdefgh".repeat(6), maxTokens: 24, temperature: 0 };
const file = await readFile(process.env.LINGUALINKED_MODEL);
const sha256 = createHash("sha256").update(file).digest("hex");

/** That of the server, which browsers of these tests trust. */
const pem = process.env.LINGUALINKED_CERTIFICATE;
const certificate = { cert: await readFile(pem), key: await readFile(pem.replace(/\.pem$/, ".key")) };

/** A site that `answers`, and the origin it has. */
async function open(answers) {
  const site = createServer(certificate, (request, response) => {
    response.setHeader("access-control-allow-origin", "*");
    if (request.method === "OPTIONS") return response.writeHead(204, { "access-control-allow-headers": "range" }).end();
    return answers(request, response);
  });
  await once(site.listen(0, "127.0.0.1"), "listening");
  return { origin: `https://127.0.0.1:${site.address().port}`, close: () => site.close() };
}

/** The part of `whole` that is asked for; all of it where none is. */
function give(whole, { headers }, response) {
  if (!headers.range) return response.writeHead(200).end(whole);
  const [, first, last] = headers.range.match(/bytes=(\d+)-(\d+)/).map(Number);
  const part = whole.subarray(first, last + 1);
  sent_bytes += part.length;
  const range = `bytes ${first}-${first + part.length - 1}/${whole.length}`;
  return response.writeHead(206, { "content-range": range, "access-control-expose-headers": "content-range" }).end(part);
}

/** A tiny random-weight model as its authors publish models; its tokens are letters, as far as the prompt of its reference has them. */
const FIXTURE = new URL("../fixtures/tiny-qwen3/", import.meta.url);
const reference = JSON.parse(await readFile(new URL("reference.json", FIXTURE)));
const letters = new Map([...new Set(reference.input_ids)].map((id, at) => [id, String.fromCharCode(97 + at)]));
const vocab = Object.fromEntries(Array.from({ length: reference.config.vocab_size }, (_, id) => [letters.get(id) ?? `<${id}>`, id]));
const text = (value) => Buffer.from(JSON.stringify(value));
const REPOSITORY = {
  "config.json": await readFile(new URL("config.json", FIXTURE)),
  "model.safetensors": await readFile(new URL("model.safetensors", FIXTURE)),
  "model.safetensors.index.json": text({ weight_map: { any: "model.safetensors" } }),
  "tokenizer.json": text({ pre_tokenizer: { type: "ByteLevel" }, model: { type: "BPE", vocab, merges: [] } }),
};

let sent_bytes = 0;
const store = await open((request, response) => give(file, request, response));
const site = await open((request, response) => {
  const { url } = request;
  const [, name] = url.match(/^\/repository\/(.*)$/) ?? [];
  if (REPOSITORY[name]) return give(REPOSITORY[name], request, response);
  if (url.startsWith("/model.gguf")) return response.writeHead(302, { location: `${store.origin}/bytes` }).end();
  if (url === "/flaky.gguf") return flaky(response);
  // It ignores the range.
  if (url === "/whole.gguf") return response.writeHead(200).end(file);
  return response.writeHead(404).end();
});

/** Too busy, then cut off in the middle, then well. */
const moods = [
  (response) => response.writeHead(503).end("busy"),
  (response) => response.writeHead(206, { "content-range": `bytes 0-${file.length - 1}/${file.length}` }).write(file.subarray(0, file.length / 2), () => response.destroy()),
];
const flaky = (response) => (moods.shift() ?? (() => response.writeHead(302, { location: `${store.origin}/bytes` }).end()))(response);

const address = `${site.origin}/model.gguf`;
const fleet = new Fleet();
const NAME = "A model elsewhere";
let folder;
let server;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "lingualinked-addresses-"));
  const catalogue = join(folder, "catalogue.json");
  const models = [{ name: NAME, address, file_bytes: file.length, licence: "MIT", sha256 }];
  await writeFile(catalogue, JSON.stringify({ redirects: [store.origin], models }));
  server = await OwnServer.start(0, ["--catalogue", catalogue]);
});
after(async () => {
  await fleet.close();
  await server.kill();
  await rm(folder, { recursive: true });
  site.close();
  store.close();
});

const options = (model, budgets, modelOrigins = [site.origin]) => ({ url: server.url, engine: "cpu", contextColumns: 512, budgets, model, modelOrigins });
const rooms = (model, budgets) => fleet.open(options(model, budgets));

test("two phones answer from an address; the guest fetches its part, and the answer is that of the server's model", async () => {
  const { ids } = await ask(await rooms(undefined, [undefined]), REQUEST);
  const room = await rooms({ address, sha256 }, [900_000, 800_000]);
  assert.ok(room.plan.stages.length > 2, "the guest works");
  assert.deepEqual((await ask(room, REQUEST)).ids, ids);
  const [host, guest] = members(room);
  assert.equal(host.fetched_bytes, 0, "it kept what it read");
  assert.equal(guest.fetched_bytes + guest.from_room_bytes, guest.assigned_bytes);
  const read = room.host.events.filter(({ type }) => type === "reading");
  assert.deepEqual([read[0].bytesDone, read.at(-1).bytesDone], [0, file.length]);
});

test("the second time nothing is read", async () => {
  const before = sent_bytes;
  const room = await rooms({ address, sha256 }, [undefined]);
  assert.equal(sent_bytes, before);
  assert.deepEqual(room.host.events.filter(({ type }) => type === "reading"), []);
});

test("a site that is busy, and then breaks off, is asked again", async () => {
  const { ids } = await ask(await rooms(undefined, [undefined]), REQUEST);
  const room = await rooms({ address: `${site.origin}/flaky.gguf`, sha256 }, [undefined]);
  assert.equal(moods.length, 0);
  assert.deepEqual((await ask(room, REQUEST)).ids, ids);
});

test("a repository of safetensors is read as it is published; the guest has its part from the host", async () => {
  const model = { address: `${site.origin}/repository/config.json#keep` };
  const request = { prompt: reference.input_ids.map((id) => letters.get(id)).join(""), maxTokens: 12, temperature: 0 };
  const room = await rooms(model, [1_300_000, 1_300_000]);
  const { ids } = await ask(room, request);
  assert.deepEqual(ids, reference.greedy32.slice(0, 12), "what torch writes");
  const [host, guest] = members(room);
  assert.ok(guest.assigned_bytes > 0);
  assert.deepEqual([host.fetched_bytes, guest.fetched_bytes, guest.from_room_bytes], [0, 0, guest.assigned_bytes]);

  const before = sent_bytes;
  const again = await ask(await rooms(model, [undefined]), request);
  assert.deepEqual([again.ids, sent_bytes], [ids, before], "the second time nothing is read");
  const small = await rooms({ address: `${site.origin}/repository/config.json` }, [undefined]);
  assert.ok((await ask(small, request)).ids.length > 0);
  assert.ok(members(small)[0].assigned_bytes < 0.5 * (host.assigned_bytes + guest.assigned_bytes), "8 bits");
});

for (const [what, model, code, origins] of [
  ["a file that is another, though one from there was kept", { address, sha256: "0".repeat(64) }, "model.other_file"],
  ["nothing there", { address: `${site.origin}/nothing.gguf` }, "model.address_unreadable"],
  ["a site without ranges", { address: `${site.origin}/whole.gguf` }, "model.address_unreadable"],
  ["a site that the page does not allow", { address }, "model.foreign", []],
  ["no repository there", { address: `${site.origin}/elsewhere/config.json` }, "model.address_unreadable"],
  ["weights as nobody knows them", { address: `${site.origin}/repository/config.json#q3` }, "model.address_unreadable"],
]) {
  test(`${what}: a typed error`, async () => {
    await assert.rejects(openRoom(options(model, [undefined], origins)), ({ fault }) => fault.code === code);
  });
}

test("two people answer with a model of the catalogue; the host's page may be loaded again", async () => {
  const host = await Person.arrive(server.url);
  const begin = host.page.getByRole("button", { name: "Start a room" }).and(host.page.locator(":enabled"));
  let guest;
  try {
    await begin.waitFor();
    await host.page.getByLabel("Model", { exact: true }).selectOption(NAME);
    await host.sees(`from ${new URL(site.origin).host}, licence: MIT`);
    await host.offers(1_000_000);
    await begin.click();
    await host.sees("Invite phones");
    await host.press("Copy");
    await host.sees("Copied");
    guest = await Person.arrive(await host.page.evaluate(() => navigator.clipboard.readText()));
    await guest.page.getByRole("button", { name: "Join" }).and(guest.page.locator(":enabled")).waitFor();
    await guest.offers(1_000_000);
    await guest.press("Join");
    await guest.sees("This phone is part of the room");
    await host.page.getByRole("button", { name: "Begin" }).and(host.page.locator(":enabled")).click();
    await host.sees("Ready on 2 phones.");
    await host.asks("abcdefgh");
    await host.page.locator(".turn").getByText(/tok\/s on 2 phones/).waitFor();

    const before = sent_bytes;
    await host.page.reload();
    await host.sees("Ready on 2 phones.");
    assert.equal(sent_bytes, before, "it was kept");
    assert.deepEqual([host.problems, guest.problems], [[], []]);
  } finally {
    await host.browser.close();
    await guest?.browser.close();
  }
});
