// The CPU executor's wasm code in node, which has Chromium's JavaScript engine: node node.mjs PACKAGE MODEL [--json]
import { openSync, readSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [, , pkg, model, ...flags] = process.argv;
const { measure_cpu } = createRequire(import.meta.url)(resolve(pkg));
const header = new Uint8Array(64 << 20);
const bytes = readSync(openSync(model, "r"), header);
// Time this process had a processor: others use the machine too.
const cpuMs = () => process.cpuUsage().user / 1e3;
console.log(await measure_cpu(header.subarray(0, bytes), cpuMs, flags.includes("--json")));
