// node run.mjs OPTIONS_JSON: an answer from emulated phones, to the terminal. `cargo xtask run --phones N` calls it.
import { ask, closeRoom, measured, members, openRoom } from "./room.mjs";

const options = JSON.parse(process.argv[2]);
const MIB = 2 ** 20;
const say = (text) => process.stderr.write(`${text}\n`);

function request() {
  const { prompt, chat, maxTokens, temperature, seed } = options;
  const asked = chat ? { messages: [{ role: "user", content: prompt }] } : { prompt };
  return { ...asked, maxTokens, temperature, ...(seed === null ? {} : { seed }) };
}

/** Too little for the model on any phone, enough for all together; the host also holds embedding and head. */
function emulatedBudget(fileBytes, phones) {
  if (options.budget === "none") return undefined;
  if (options.budget !== null) return Number(options.budget) * MIB;
  return Math.floor(fileBytes * Math.max(1.5 / phones, 0.5));
}

const traffic = async () => (await fetch(`${options.url}/api/traffic`)).json();

async function answer(phones, budget, stream) {
  const { url, engine, context, wire } = options;
  const before = await traffic();
  const room = await openRoom({
    url, engine, wire, contextColumns: context, budgets: Array(phones).fill(budget), tell: say,
  });
  try {
    describe(room);
    const finished = await ask(room, request(), stream ? (text) => process.stdout.write(text) : undefined);
    if (stream) process.stdout.write("\n");
    // An answer of one token has no decode step.
    if (finished.ids.length > 1) await measured(room);
    const after = await traffic();
    return result(room, finished, (name) => (after[name] ?? 0) - (before[name] ?? 0));
  } finally {
    await closeRoom(room);
  }
}

function describe({ plan, host, phones }) {
  const names = phones.map((phone) => phone.name);
  say(`numeric class: wire ${plan.class.wire}, chunks of ${plan.class.chunk_columns}, context ${plan.class.context_columns}`);
  for (const { member, units, engine } of plan.stages) {
    say(`  ${names[member] ?? member}: units ${units.start}..${units.end} on ${engine}`);
  }
  say(`predicted ${plan.predicted_ms_per_token.toFixed(1)} ms per token, bound ${plan.lower_bound_ms_per_token.toFixed(1)}`);
  for (const { name, budget_bytes } of members({ host })) say(`  ${name}: budget ${(budget_bytes / MIB).toFixed(0)} MiB (emulated)`);
}

function result(room, finished, downloaded) {
  return {
    text: finished.text,
    ids: finished.ids,
    prompt_ids: finished.promptIds,
    ms_to_first_token: finished.msToFirstToken,
    tok_per_s: finished.tokPerS,
    numeric_class: room.plan.class,
    plan: room.plan,
    phones: members(room).map(({ name, engine, units, budget_bytes, ms_per_token }) => ({
      name, engine, units, budget_bytes, bytes_downloaded: downloaded(name), ms_per_token,
    })),
  };
}

function report(answer) {
  for (const { name, ms_per_token, bytes_downloaded } of answer.phones) {
    const ms = ms_per_token === null ? "-" : ms_per_token.toFixed(1);
    say(`  ${name}: ${ms} ms per token, ${(bytes_downloaded / MIB).toFixed(1)} MiB downloaded`);
  }
  say(`${answer.tok_per_s.toFixed(2)} tok/s, first token after ${answer.ms_to_first_token.toFixed(0)} ms (emulated phones on one machine)`);
}

try {
  const [model] = await (await fetch(`${options.url}/api/models`)).json();
  const budget = emulatedBudget(model.file_bytes, options.phones);
  say(`${model.name}, ${(model.file_bytes / MIB).toFixed(0)} MiB, on ${options.phones} emulated phones (headless Chromium processes)`);
  const together = await answer(options.phones, budget, !options.json);
  report(together);
  if (options.compare) {
    say("one emulated phone without a budget:");
    report(await answer(1, undefined, false));
  }
  if (options.json) console.log(JSON.stringify(together));
} catch (error) {
  const { code, message, remedy } = error.fault ?? { code: "run.failed", message: error.message, remedy: "Run it again; report it if it stays." };
  say(`error[${code}]: ${message}\n  ${remedy}`);
  process.exitCode = 1;
}
