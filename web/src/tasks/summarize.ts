// Summaries: of the whole text where it fits the room's context, else of its parts, merged.
import { wholeAnswer, type Ask } from "./ask.js";
import { inParts } from "./parts.js";

export interface SummarizeRequest {
  text: string;
  /** Of the summary, 128 unless given. */
  maxTokens?: number;
}

export interface Summary {
  text: string;
  /** How many parts the text was cut into. */
  parts: number;
}

/** Summaries of summaries of ... so often at most: each round shortens the text. */
const MAX_ROUNDS = 8;

export async function summarize(ask: Ask, { text, maxTokens = 128 }: SummarizeRequest, signal?: AbortSignal): Promise<Summary> {
  const summaryOf = (part: string) => wholeAnswer(ask, `Summarize the following text in a few sentences.\n\n${part.trim()}`, maxTokens, signal);
  let summaries = await inParts(text, summaryOf);
  const parts = summaries.length;
  for (let round = 0; summaries.length > 1; round += 1) {
    const merged = summaries.join("\n\n");
    if (round === MAX_ROUNDS) return { text: merged, parts };
    summaries = await inParts(merged, summaryOf);
  }
  return { text: summaries[0] ?? "", parts };
}
