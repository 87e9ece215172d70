// node chat-model.mjs IN OUT: a GGUF file with a chat template, so that the page can talk to a model that has none.
import { readFile, writeFile } from "node:fs/promises";

const [from, to] = process.argv.slice(2);
const TEMPLATE = "{% for message in messages %}{{ message.content }} {% endfor %}";
/** Of tensors in the file, bytes. */
const ALIGNMENT = 32;
const STRING = 8;

const text = (value) => {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(value)));
  return Buffer.concat([length, Buffer.from(value)]);
};
const type = Buffer.from(Uint32Array.of(STRING).buffer);
const entry = (template) => Buffer.concat([text("tokenizer.chat_template"), type, text(template)]);

const file = await readFile(from);
if (file.toString("latin1", 0, 4) !== "GGUF") throw new Error(`${from} is no GGUF file`);
// Magic, version and the number of tensors come before the number of entries; the entries follow.
const [count, entries] = [16, 24];
file.writeBigUInt64LE(file.readBigUInt64LE(count) + 1n, count);
// Whole alignments, so that the tensors stay aligned; a template ends where its last tag ends.
const bytes = entry(TEMPLATE).length;
const padding = " ".repeat((ALIGNMENT - (bytes % ALIGNMENT)) % ALIGNMENT);
await writeFile(to, Buffer.concat([file.subarray(0, entries), entry(`${padding}${TEMPLATE}`), file.subarray(entries)]));
