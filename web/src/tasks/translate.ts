// Translation, paragraph by paragraph: how good it is depends on the model alone.
import { wholeAnswer, type Ask } from "./ask.js";
import { inParts } from "./parts.js";

export interface TranslateRequest {
  text: string;
  /** Names of languages in English, "Korean". */
  from: string;
  to: string;
  /** Of each paragraph's translation, 512 unless given. */
  maxTokens?: number;
}

/** Blank lines stay as they are. */
export async function translate(ask: Ask, { text, from, to, maxTokens = 512 }: TranslateRequest, signal?: AbortSignal): Promise<string> {
  const translationOf = (part: string) => wholeAnswer(ask, `Translate the following text from ${from} to ${to}. Answer with the translation only.\n\n${part.trim()}`, maxTokens, signal);
  const translated: string[] = [];
  for (const [index, piece] of text.split(/(\n\s*\n)/).entries()) {
    const isGap = index % 2 === 1 || piece.trim() === "";
    translated.push(isGap ? piece : (await inParts(piece, translationOf)).join(" "));
  }
  return translated.join("");
}
