// Rooms of three browser processes with a tiny random-weight model; `cargo xtask e2e` starts the server that LINGUALINKED_URL names.
import { test } from "node:test";
import assert from "node:assert/strict";
import { EmulatedPhone } from "./chromium.mjs";
import { ask, closeRoom, members, openRoom } from "./room.mjs";

const url = process.env.LINGUALINKED_URL;
const REQUEST = { prompt: "abcdefgh".repeat(6), maxTokens: 12, temperature: 0 };
// Bytes, 260 KiB of them scratch: too little for the 830 KiB model on any phone, enough on three.
const SMALL = [700_000, 520_000, 520_000];

const traffic = async () => (await fetch(`${url}/api/traffic`)).json();
const downloaded = async (name, before) => ((await traffic())[name] ?? 0) - (before[name] ?? 0);

async function answer(budgets, engine) {
  const room = await openRoom({ url, budgets, engine, contextColumns: 64 });
  try {
    const { ids } = await ask(room, REQUEST);
    assert.equal(ids.length, REQUEST.maxTokens);
    return { ids, engines: members(room).map((member) => member.engine), stages: room.plan.stages.length };
  } finally {
    await closeRoom(room);
  }
}

for (const [engine, kind] of [["cpu", "Cpu"], ["gpu", "Gpu"]]) {
  test(`three phones write what one writes (${engine})`, async () => {
    const alone = await answer([undefined], engine);
    const together = await answer(SMALL, engine);
    assert.equal(alone.stages, 1);
    assert.equal(together.stages, 4);
    assert.deepEqual(together.engines, [kind, kind, kind]);
    assert.deepEqual(together.ids, alone.ids);
  });
}

test("each phone fetches its segment and the header, and after a reload nothing", async () => {
  const before = await traffic();
  const room = await openRoom({ url, budgets: SMALL, engine: "cpu", contextColumns: 64 });
  try {
    const manifest = await (await fetch(url + room.model.manifest)).json();
    const manifestBytes = JSON.stringify(manifest).length;
    for (const { name, assigned_bytes } of members(room)) {
      const fetched = await downloaded(name, before);
      assert.ok(assigned_bytes > 0 && fetched >= assigned_bytes, `${name} fetched ${fetched} of ${assigned_bytes} bytes`);
      const allowed = 1.02 * (assigned_bytes + manifest.header_bytes) + manifestBytes;
      assert.ok(fetched <= allowed, `${name} fetched ${fetched} of at most ${allowed} bytes`);
    }
    await room.host.call("leave");
    await room.host.load(url);
    await room.host.start({ name: "again", client: "again", engine: "cpu", contextColumns: 64, budgetBytes: SMALL[0] });
    const { id, file, manifest: address } = room.model;
    await room.host.call("host", { id, file, manifest: address });
    assert.ok(await downloaded("again", before) <= manifestBytes, "the header is read from storage");
  } finally {
    await closeRoom(room);
  }
});

test("two phones are told how much is missing", async () => {
  await assert.rejects(openRoom({ url, budgets: SMALL.slice(0, 2), engine: "cpu", contextColumns: 64 }), ({ fault }) => {
    assert.equal(fault.code, "capacity");
    assert.match(fault.message, /\d+ MiB short/);
    return true;
  });
});

test("rooms that do not exist are named so", async () => {
  const phone = await EmulatedPhone.open(url, "stranger");
  try {
    await phone.start({ name: "stranger" });
    await assert.rejects(phone.call("join", "room=nowhere.aebagbafaydqqcikbmga2dqpca.aebagbafaydqqcikbmga2dqpca"), ({ fault }) => fault.code === "room.unknown" && fault.remedy.length > 0);
  } finally {
    await phone.close();
  }
});
