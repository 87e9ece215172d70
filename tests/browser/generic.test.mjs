// The module with the generic executor (Burn), in rooms of browser processes: the tokens that the CPU writes.
import { test } from "node:test";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { EmulatedPhone } from "./chromium.mjs";
import { OwnServer } from "./own-server.mjs";
import { ask, closeRoom, members, openRoom } from "./room.mjs";

const REQUEST = { prompt: "abcdefgh".repeat(4), maxTokens: 12, temperature: 0 };
test("the module that pages load has none of it", async () => {
  const names = { wasm: false, "wasm/generic": true };
  for (const [folder, has] of Object.entries(names)) {
    const module = await readFile(`${process.env.LINGUALINKED_WEB}/${folder}/lingualinked_bg.wasm`);
    console.log(`${folder}: ${Math.round(module.length / 1000)} KB, ${Math.round(gzipSync(module).length / 1000)} KB gzipped`);
    assert.equal(module.includes("cubecl"), has);
  }
});

const generic = (url, name) => EmulatedPhone.open(url, name, { search: "?generic" });

async function answer(options) {
  const room = await openRoom({ contextColumns: 64, ...options });
  try {
    const { ids, promptIds } = await ask(room, REQUEST);
    assert.equal(ids.length, REQUEST.maxTokens);
    return { ids, promptIds, members: members(room), stages: room.plan.stages.length };
  } finally {
    await closeRoom(room);
  }
}

for (const [model, budgets, stages] of [["tiny-llama", [undefined], 1], ["tiny-llama", [700_000, 520_000, 520_000], 4], ["tiny-bloom", [undefined], 1]]) {
  test(`${model} on ${budgets.length} with the generic executor`, async () => {
    process.env.LINGUALINKED_MODEL = `tests/fixtures/${model}/model-f32.gguf`;
    const server = await OwnServer.start();
    try {
      const { url } = server;
      const expected = await answer({ url, budgets: [undefined], engine: "cpu" });
      const found = await answer({ url, budgets, engine: "gpu", open: generic });
      assert.deepEqual(found.promptIds, expected.promptIds);
      assert.deepEqual(found.ids, expected.ids);
      assert.equal(found.stages, stages);
      for (const { engine, measured } of found.members) {
        assert.equal(engine, "Gpu");
        assert.match(measured[0].variant, /generic/);
      }
    } finally {
      await server.kill();
    }
  });
}
