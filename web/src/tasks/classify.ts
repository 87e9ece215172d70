// Classification by label likelihood: how likely the model finds each label after the text, against how likely it finds it after nothing.
import type { Ask } from "./ask.js";

export interface ClassifyRequest {
  text: string;
  /** At least two, as words the model would write. */
  labels: readonly string[];
  /** What the labels say about the text, in a word or two: "Sentiment", "Topic". */
  question: string;
  /** Against the model's liking for a label whatever the text (Zhao et al. 2021, arXiv 2102.09690); yes unless given. */
  calibrate?: boolean;
}

export interface Classification {
  /** The likeliest. */
  label: string;
  /** Of all labels, the likeliest first; they add up to 1. */
  scores: { label: string; probability: number }[];
}

/** Texts without content: the mean over them is the model's liking for a label. */
const CONTENT_FREE = ["N/A", "[MASK]", ""];

/** Classifies with one room; likings are asked for once per question and labels. */
export class Classifier {
  #ask: Ask;
  #likings = new Map<string, number[]>();

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  async classify({ text, labels, question, calibrate = true }: ClassifyRequest, signal?: AbortSignal): Promise<Classification> {
    if (new Set(labels).size < 2) throw new TypeError("classify takes at least two different labels");
    const found = await this.#logLikelihoods(text, labels, question, signal);
    const liking = calibrate ? await this.#liking(labels, question, signal) : labels.map(() => 0);
    const probabilities = softmax(found.map((logLikelihood, index) => logLikelihood - (liking[index] ?? 0)));
    const scores = labels.map((label, index) => ({ label, probability: probabilities[index] ?? 0 }));
    scores.sort((left, right) => right.probability - left.probability);
    return { label: scores[0]?.label ?? "", scores };
  }

  async #liking(labels: readonly string[], question: string, signal: AbortSignal | undefined): Promise<number[]> {
    const key = JSON.stringify([question, labels]);
    const known = this.#likings.get(key);
    if (known) return known;
    const sums = labels.map(() => 0);
    for (const nothing of CONTENT_FREE) {
      const found = await this.#logLikelihoods(nothing, labels, question, signal);
      found.forEach((logLikelihood, index) => (sums[index] = (sums[index] ?? 0) + logLikelihood));
    }
    const liking = sums.map((sum) => sum / CONTENT_FREE.length);
    this.#likings.set(key, liking);
    return liking;
  }

  /** Natural logarithms, one for each label. */
  async #logLikelihoods(text: string, labels: readonly string[], question: string, signal: AbortSignal | undefined): Promise<number[]> {
    const found: number[] = [];
    for (const label of labels) {
      const request = { prompt: `Text: ${text.trim()}\n${question}:`, answerStart: ` ${label}`, maxTokens: 0, temperature: 0 };
      found.push((await this.#ask(request, signal)).startLogLikelihood);
    }
    return found;
  }
}

function softmax(logits: readonly number[]): number[] {
  const highest = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - highest));
  const sum = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / sum);
}
