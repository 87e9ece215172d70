// Tasks on a room that is played by a script: what they ask it, and what they make of its answers.
import { test } from "node:test";
import assert from "node:assert/strict";
import { load } from "./load.mjs";

const { Classifier } = await load("tasks/classify.ts");
const { summarize } = await load("tasks/summarize.ts");
const { translate } = await load("tasks/translate.ts");
const { halves } = await load("tasks/parts.ts");

const TOO_LONG = Object.assign(new Error("too long"), { code: "prompt.too_long" });

/** A room whose context holds `limit` characters. */
function room(limit, answer) {
  const asked = [];
  const ask = async (request) => {
    const text = request.prompt ?? request.messages.at(-1).content;
    if (text.length > limit) throw TOO_LONG;
    asked.push(request);
    return { reason: "stop", ...answer(text, request) };
  };
  return { ask, asked };
}

test("a label is scored against the model's liking for it", async () => {
  // Likes "bad" whatever the text; after "sunny" it likes "good" more than usual.
  const likelihood = (text, { answerStart }) => {
    const liking = answerStart === " bad" ? 0.5 : 0.1;
    return text.includes("sunny") && answerStart === " good" ? 4 * liking : liking;
  };
  const { ask, asked } = room(Infinity, (text, request) => ({ startLogLikelihood: Math.log(likelihood(text, request)) }));
  const classifier = new Classifier(ask);
  const request = { text: "a sunny day", labels: ["good", "bad"], question: "Mood" };
  const { label, scores } = await classifier.classify(request);
  assert.equal(label, "good");
  assert.ok(Math.abs(scores[0].probability - 0.8) < 1e-9);
  assert.ok(Math.abs(scores[0].probability + scores[1].probability - 1) < 1e-9);
  assert.equal((await classifier.classify({ ...request, calibrate: false })).label, "bad");
  assert.ok(asked.every(({ maxTokens }) => maxTokens === 0));
  const before = asked.length;
  await classifier.classify({ ...request, text: "rain" });
  assert.equal(asked.length - before, 2, "likings are asked for once");
  await assert.rejects(classifier.classify({ ...request, labels: ["good", "good"] }), TypeError);
});

test("what fits is summarised at once, what does not in parts that are merged", async () => {
  const { ask, asked } = room(200, (text) => ({ text: ` sum${text.length} ` }));
  const short = await summarize(ask, { text: "Short." });
  assert.deepEqual([short.parts, asked.length], [1, 1]);
  const long = Array.from({ length: 40 }, (_, index) => `Sentence number ${index} is here.`).join(" ");
  const { text, parts } = await summarize(ask, { text: long });
  assert.ok(parts > 4);
  assert.match(text, /^sum\d+$/);
  const cramped = room(Infinity, () => ({ text: "Cut o", reason: "length", tokens: 3 }));
  await assert.rejects(summarize(cramped.ask, { text: "Short." }), { code: "prompt.too_long" });
  await assert.rejects(summarize(room(10, () => ({ text: "" })).ask, { text: long }), { code: "prompt.too_long" });
});

test("nothing is lost where a text is cut", () => {
  for (const text of ["one two three four", "a.b! c? d", "\u{1F642}".repeat(9), "x".repeat(101), "p\n\nq\n\nr\n\ns", "안녕하세요. 반갑습니다. 또 만나요."]) {
    const [left, right] = halves(text);
    assert.equal(left + right, text);
    assert.ok(left.length > 0 && right.length > 0);
    assert.ok(left.isWellFormed() && right.isWellFormed());
  }
  assert.deepEqual(halves("First one.\n\nSecond, one."), ["First one.\n\n", "Second, one."]);
});

test("paragraphs are translated in order and stay apart", async () => {
  const { ask, asked } = room(Infinity, (text) => ({ text: text.split("\n\n").at(-1).toUpperCase() }));
  assert.equal(await translate(ask, { text: "one\n\n\ntwo", from: "English", to: "Loud" }), "ONE\n\n\nTWO");
  assert.equal(asked.length, 2);
  assert.match(asked[0].messages[0].content, /from English to Loud/);
});
