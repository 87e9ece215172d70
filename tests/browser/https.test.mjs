// Over https with the certificate that the server made, as phones on the local network come.
import { test } from "node:test";
import assert from "node:assert/strict";
import { EmulatedPhone } from "./chromium.mjs";
import { ask, closeRoom, openRoom } from "./room.mjs";

const url = process.env.LINGUALINKED_HTTPS_URL;
const REQUEST = { prompt: "abcdefgh".repeat(6), maxTokens: 12, temperature: 0 };

test("phones join by https, in a secure context, and answer", async () => {
  assert.match(url, /^https:/);
  const room = await openRoom({ url, budgets: [700_000, 520_000, 520_000], engine: "cpu", contextColumns: 64 });
  try {
    const seen = await room.phones[1].page.evaluate(() => [location.protocol, isSecureContext, "gpu" in navigator]);
    assert.deepEqual(seen, ["https:", true, true]);
    const { ids } = await ask(room, REQUEST);
    assert.equal(ids.length, REQUEST.maxTokens);
  } finally {
    await closeRoom(room);
  }
});

test("a browser that was not told to trust this certificate refuses it", async () => {
  const certificate = process.env.LINGUALINKED_CERTIFICATE;
  delete process.env.LINGUALINKED_CERTIFICATE;
  try {
    await assert.rejects(EmulatedPhone.open(url, "stranger"), /ERR_CERT_AUTHORITY_INVALID/);
  } finally {
    process.env.LINGUALINKED_CERTIFICATE = certificate;
  }
});
