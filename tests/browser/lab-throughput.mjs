// In the lab: a long prompt, and several answers at once, on three phones beside one and beside one at a time.
//   cargo xtask lab --model models/SmolLM2-135M-Instruct.Q4_1.gguf -- node tests/browser/lab-throughput.mjs
import { change, phonesIn, startServer } from "./lab.mjs";
import { median } from "./median.mjs";
import { ask, closeRoom, openRoom } from "./room.mjs";

const MIB = 2 ** 20;
const TEXT = "The harbour was quiet that morning, and the boats lay still on the grey water while the old man mended his nets and talked about the weather. ";
/** About 512 tokens, another beginning each time. */
const longPrompt = (round) => `Chapter ${round}. ${TEXT.repeat(18)}`;
const ROUNDS = 3;
const TOKENS = 32;

const unitsOf = ({ plan }) => `units ${plan.stages.map(({ member, units: { start, end } }) => `${member}: ${end - start}`).join(", ")}`;
/** Slow enough that this machine's processors suffice for all. */
const SLOWDOWNS = [3.3, 3.3, 3.3];
/** No two of them hold the model. */
const BUDGETS = [70, 60, 60].map((mib) => mib * MIB);
const open = (budgets, contextColumns) => openRoom({ url: server.url, budgets, engine: "cpu", contextColumns, open: phonesIn(new Map(), SLOWDOWNS) });

/** ms to the first token of a long prompt, and how many tokens that has. */
async function prompt(room) {
  const answers = [];
  for (let round = 0; round < ROUNDS; round++) answers.push(await ask(room, { prompt: longPrompt(round), maxTokens: 1, temperature: 0 }));
  return { ms: median(answers.map(({ msToFirstToken }) => msToFirstToken)), tokens: answers[0].promptTokens };
}

/** Tokens a second of so many answers at once. */
async function together(room, answers) {
  const { host } = room;
  const from = host.events.length;
  const begun_ms = performance.now();
  for (let answer = 0; answer < answers; answer++) {
    await host.call("generate", { prompt: `Story ${answer}: once upon a time`, maxTokens: TOKENS, temperature: 0 });
  }
  const ended = () => host.events.slice(from).filter(({ type }) => type === "finished");
  await host.until(() => ended().length === answers, from);
  return (1000 * ended().reduce((sum, { tokens }) => sum + tokens, 0)) / (performance.now() - begun_ms);
}

const server = await startServer();
try {
  await change({ delay_ms: 3, rate_mbit: 200 });
  const alone = await open([undefined], 1024);
  const one = await prompt(alone).finally(() => closeRoom(alone));
  const trio = await open(BUDGETS, 1024);
  const three = await prompt(trio).finally(() => closeRoom(trio));
  console.log(`prompt of ${one.tokens} tokens: ${Math.round(one.ms)} ms on one phone, ${Math.round(three.ms)} ms on three (${unitsOf(trio)}): ${(one.ms / three.ms).toFixed(2)}`);
  const room = await open(BUDGETS, 256);
  try {
    const single = await together(room, 1);
    const four = await together(room, 4);
    console.log(`answers, ${room.plan.slots} at a time (${unitsOf(room)}): ${single.toFixed(1)} tok/s of one alone, ${four.toFixed(1)} tok/s of four: ${(four / single).toFixed(2)}`);
  } finally {
    await closeRoom(room);
  }
} finally {
  await server.kill();
}
