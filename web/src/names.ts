// A name for a phone whose owner did not choose one.
import { el } from "./dom";
import { field } from "./field";
import { say } from "./strings";

function generatedName(): string {
  return `${pick(say.colours)} ${pick(say.animals)}`;
}

/** A name to change. */
export class NameField {
  #input = el("input", { id: "name", type: "text", maxlength: 40, required: true, autocomplete: "off", value: generatedName(), "aria-describedby": "name-hint" });
  readonly element = field("name", say.name, this.#input, el("p", { id: "name-hint", class: "muted" }, say.nameHint));

  /** Never empty. */
  get value(): string {
    const typed = this.#input.value.trim();
    if (typed === "") this.#input.value = generatedName();
    return typed || this.#input.value;
  }
}

function pick(words: string[]): string {
  return words[Math.floor(Math.random() * words.length)] ?? "";
}
