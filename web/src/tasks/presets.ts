// What the composer offers besides chat: tasks with a text of its own, told in Markdown.
import type { Ask } from "./ask.js";
import { Classifier } from "./classify.js";
import { summarize } from "./summarize.js";
import { translate } from "./translate.js";

export const TASKS = ["chat", "summarize", "sentiment", "to_korean", "to_english"] as const;
export type Task = (typeof TASKS)[number];

/** Labels as the model reads them. */
export type Sentiment = "positive" | "negative";

export interface Words {
  sentiment: (label: Sentiment, percent: number) => string;
}

/** Does tasks in one room. */
export class Presets {
  #ask: Ask;
  #classifier: Classifier;

  constructor(ask: Ask) {
    this.#ask = ask;
    this.#classifier = new Classifier(ask);
  }

  async do(task: Exclude<Task, "chat">, text: string, words: Words): Promise<string> {
    switch (task) {
      case "summarize":
        return (await summarize(this.#ask, { text })).text;
      case "sentiment":
        return this.#sentiment(text, words);
      case "to_korean":
        return translate(this.#ask, { text, from: "English", to: "Korean" });
      case "to_english":
        return translate(this.#ask, { text, from: "Korean", to: "English" });
    }
  }

  async #sentiment(text: string, words: Words): Promise<string> {
    const { scores } = await this.#classifier.classify({ text, labels: ["positive", "negative"], question: "Sentiment" });
    const [first, ...others] = scores.map(({ label, probability }) => words.sentiment(label as Sentiment, Math.round(100 * probability)));
    return [`**${first ?? ""}**`, ...others].join(", ");
  }
}
