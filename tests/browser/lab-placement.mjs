// In the lab: how long a token takes beside what the plan said, over networks that differ. Prints a line for each, and the median error.
//   cargo xtask lab --model models/SmolLM2-135M-Instruct.Q4_1.gguf -- node tests/browser/lab-placement.mjs
import { change, phonesIn, startServer } from "./lab.mjs";
import { median } from "./median.mjs";
import { ask, closeRoom, openRoom } from "./room.mjs";

const MIB = 2 ** 20;
const REQUEST = { prompt: "Once upon a time, in a small village by the sea,", maxTokens: 48, temperature: 0 };
// No two of them hold the model.
const BUDGETS = [70 * MIB, 60 * MIB, 60 * MIB];
/** How many times as long a phone computes as this machine does. */
const SLOWDOWNS = [1, 1.7, 3.3];
const NETWORKS = [
  { delay_ms: 1, rate_mbit: 200 },
  { delay_ms: 5, rate_mbit: 40 },
  { delay_ms: 20, rate_mbit: 40 },
  { delay_ms: 50, rate_mbit: 20 },
  { delay_ms: 5, rate_mbit: 40, jitter_ms: 10 },
];

const server = await startServer();
const errors = [];
try {
  for (const network of NETWORKS) {
    await change(network);
    const room = await openRoom({ url: server.url, budgets: BUDGETS, engine: "cpu", contextColumns: 256, open: phonesIn(new Map(), SLOWDOWNS) });
    try {
      const from = room.host.events.length;
      await ask(room, REQUEST);
      const times = room.host.events.slice(from).filter(({ type }) => type === "token").map(({ atMs }) => atMs);
      const token_ms = (times.at(-1) - times[0]) / (times.length - 1);
      const planned_ms = room.plan.predicted_ms_per_token;
      const error = token_ms / planned_ms - 1;
      errors.push(Math.abs(error));
      const units = room.plan.stages.map(({ member, units: { start, end } }) => `${member}: ${end - start}`).join(", ");
      console.log(`${JSON.stringify(network)}: units ${units}; planned ${planned_ms.toFixed(1)} ms per token, took ${token_ms.toFixed(1)} (${(100 * error).toFixed(0)} %)`);
    } finally {
      await closeRoom(room);
    }
  }
} finally {
  await server.kill();
}
console.log(`median error ${(100 * median(errors)).toFixed(0)} % of ${errors.length}`);
