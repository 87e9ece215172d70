// Faults as exceptions.
import type { Fault } from "../facade.js";
import { asFault } from "../faults.js";

/** What happened, what to do about it, and a code that stays the same between versions. */
export class LinguaLinkedError extends Error {
  override readonly name = "LinguaLinkedError";
  readonly code: string;
  readonly remedy: string;

  constructor({ code, message, remedy }: Fault) {
    super(message);
    this.code = code;
    this.remedy = remedy;
  }
}

/** Whatever was thrown, as one of ours. */
export function errorOf(thrown: unknown): Error {
  if (thrown instanceof LinguaLinkedError || thrown instanceof DOMException) return thrown;
  return new LinguaLinkedError(asFault(thrown));
}
