// node sentiment.mjs SNIPPETS [COUNT]: how well one emulated phone tells good reviews from bad ones. `cargo xtask sentiment` calls it.
// A line of the file: number, tab, score, tab, text; above 0 is good.
import { readFile } from "node:fs/promises";
import { load } from "../../web/tests/load.mjs";
import { ask, closeRoom, openRoom } from "./room.mjs";

const [file, count = "200"] = process.argv.slice(2);
const url = process.env.LINGUALINKED_URL;
const { Classifier } = await load("tasks/classify.ts");

/** Every n-th of those whose readers agreed: the same ones each time, from the whole file. */
function chosen(text, count) {
  const lines = text.split("\n").map((line) => line.split("\t"));
  const clear = lines
    .map(([, score, text]) => ({ score: Number(score), text }))
    .filter(({ score, text }) => text && Math.abs(score) >= 1);
  const step = clear.length / count;
  return Array.from({ length: Math.min(count, clear.length) }, (_, index) => clear[Math.floor(index * step)]);
}

/** Probability that a good text scores higher than a bad one. */
function areaUnderCurve(good, bad) {
  const wins = good.flatMap((g) => bad.map((b) => (g > b ? 1 : g === b ? 0.5 : 0)));
  return wins.reduce((sum, win) => sum + win, 0) / wins.length;
}

const snippets = chosen(await readFile(file, "utf8"), Number(count));
const room = await openRoom({ url, budgets: [undefined], engine: "cpu", contextColumns: 512, tell: console.error });
try {
  const classifier = new Classifier((request) => ask(room, request));
  for (const calibrate of [true, false]) {
    const found = [];
    for (const { text, score } of snippets) {
      const { label, scores } = await classifier.classify({ text, labels: ["positive", "negative"], question: "Sentiment", calibrate });
      const good = scores.find(({ label }) => label === "positive").probability;
      found.push({ isGood: score > 0, saysGood: label === "positive", good });
    }
    const right = found.filter(({ isGood, saysGood }) => isGood === saysGood).length;
    const of = (wanted) => found.filter(({ isGood }) => isGood === wanted).map(({ good }) => good);
    const auc = areaUnderCurve(of(true), of(false));
    const name = calibrate ? "calibrated" : "not calibrated";
    console.log(`${room.model.name}, ${found.length} snippets (${of(true).length} good), ${name}: accuracy ${(100 * right / found.length).toFixed(1)} %, AUC ${auc.toFixed(3)}`);
  }
} finally {
  await closeRoom(room);
}
