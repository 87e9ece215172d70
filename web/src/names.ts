// A name for a phone whose owner did not choose one.
import { say } from "./strings";

export function generatedName(): string {
  return `${pick(say.colours)} ${pick(say.animals)}`;
}

function pick(words: string[]): string {
  return words[Math.floor(Math.random() * words.length)] ?? "";
}
