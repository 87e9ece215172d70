// A model from the host's disk: the server of these rooms hears nothing of it but first contact.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EmulatedPhone, patchWorkers } from "./chromium.mjs";
import { OwnServer } from "./own-server.mjs";
import { Person } from "./person.mjs";

const model = process.env.LINGUALINKED_MODEL;
/** Too little for the model on one phone, enough on two. */
const BUDGET_BYTES = 1_000_000;

let server;
let folder;
let host;
let guest;
let opened;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "lingualinked-files-"));
  server = await OwnServer.start(0, ["--log", "debug"]);
  host = await Person.arrive(server.url);
  host.page.on("filechooser", (chooser) => opened(chooser));
});
after(async () => {
  await host?.browser.close();
  await guest?.browser.close();
  await server?.kill();
  await rm(folder, { recursive: true, force: true });
});

const begin = () => host.page.getByRole("button", { name: "Start a room" });

/** Chooses a file as a person without a mouse does. */
async function choose(path) {
  await host.page.getByLabel("Model", { exact: true }).selectOption("A file on this device…");
  await host.page.getByLabel("GGUF file").focus();
  const chooser = new Promise((resolve) => (opened = resolve));
  await host.page.keyboard.press("Enter");
  await (await chooser).setFiles(path);
}

async function written(name, bytes) {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

/** The model's bytes with another architecture's name. */
async function strange() {
  const bytes = await readFile(model);
  const name = bytes.indexOf("llama", bytes.indexOf("general.architecture"));
  bytes.write("mamba", name);
  return bytes;
}

test("without a file there is nothing to start", async () => {
  await begin().and(host.page.locator(":enabled")).waitFor();
  await host.page.getByLabel("Model", { exact: true }).selectOption("A file on this device…");
  assert.ok(await begin().isDisabled());
});

test("what is no model, or one that does not run here, is refused by name", async () => {
  const whole = await readFile(model);
  const changed = await written("changed.gguf", whole);
  // A browser notices by the time of the change, and may look for the first time only when the file's size is asked for.
  const change = async () => {
    await host.page.getByLabel("GGUF file").evaluate(({ files }) => files[0].size);
    await writeFile(changed, "something else");
    await utimes(changed, 0, 0);
  };
  const refused = [
    [await written("text.gguf", "Once upon a time"), "model.not_gguf"],
    [await written("empty.gguf", ""), "model.truncated"],
    [await written("strange.gguf", await strange()), "model.architecture"],
    [await written("half.gguf", whole.subarray(0, whole.length / 2)), "model.truncated"],
    [changed, "model.file_unreadable", change],
  ];
  for (const [path, code, meanwhile] of refused) {
    await choose(path);
    await meanwhile?.();
    await begin().click();
    await host.page.locator(".fault-code", { hasText: code }).waitFor();
    await begin().waitFor();
  }
});

test("reading may be cancelled, and nothing is left of it", async () => {
  // A disk that never answers.
  await patchWorkers(host.page, { before: "Blob.prototype.arrayBuffer = () => new Promise(() => {});" });
  await choose(model);
  await begin().click();
  await host.sees("Opening the model…");
  await host.press("Cancel");
  await begin().waitFor();
  assert.equal(await host.page.locator(".fault").count(), 0);
  await host.page.unrouteAll({ behavior: "ignoreErrors" });
});

test("two phones answer from a file that one of them has", async () => {
  await choose(model);
  await host.offers(BUDGET_BYTES);
  await begin().click();
  await host.sees("Invite phones");
  await host.press("Copy");
  await host.sees("Copied");
  guest = await Person.arrive(await host.page.evaluate(() => navigator.clipboard.readText()));
  await guest.page.getByRole("button", { name: "Join" }).and(guest.page.locator(":enabled")).waitFor();
  await guest.offers(BUDGET_BYTES);
  await guest.press("Join");
  await guest.sees("This phone is part of the room");
  await host.page.getByRole("button", { name: "Begin" }).and(host.page.locator(":enabled")).click();
  await host.sees("Ready on 2 phones.");
  await host.asks("abcdefgh");
  await host.page.locator(".turn").getByText(/tok\/s on 2 phones/).waitFor();
  assert.notEqual(await host.answer(/./), "");
});

test("the server was asked for no model", () => {
  assert.match(server.log, /\/api\/rooms/, "it logs what it is asked for");
  assert.doesNotMatch(server.log, /\/models\//);
});

test("a page that is loaded again has lost its file: it is at the start", async () => {
  await host.page.reload();
  await begin().waitFor();
  assert.deepEqual([host.problems, guest.problems], [[], []]);
});

test("what is read is told, up to the last byte", async () => {
  const phone = await EmulatedPhone.open(server.url, "alone");
  try {
    await phone.start({ name: "alone", engine: "cpu", contextColumns: 512 });
    await phone.page.evaluate(async () => {
      const [{ file }] = await (await fetch("/api/models")).json();
      await window.phone.host(await (await fetch(file)).blob());
    });
    const told = phone.events.filter(({ type }) => type === "reading");
    const { length } = await readFile(model);
    assert.deepEqual([told[0].bytesDone, told.at(-1).bytesDone], [0, length]);
    assert.ok(told.every(({ bytesTotal }) => bytesTotal === length));
  } finally {
    await phone.close();
  }
});
