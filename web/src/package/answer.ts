// One answer between the room that writes it and the caller who reads it, each at its own speed.
import type { SessionEvent } from "../facade.js";
import type { Piece } from "./chat.js";
import { LinguaLinkedError } from "./error.js";

/** What the room says of one question. */
export type Word = Piece | Extract<SessionEvent, { type: "refused" }>;

export class Answer {
  /** The room writes no more of it. */
  ended = false;
  #unread: Piece[] = [];
  #failure: { why: unknown } | undefined;
  #wake = () => {};

  take(word: Word): void {
    this.ended = word.type !== "token";
    if (word.type === "refused") {
      this.fail(new LinguaLinkedError(word.fault));
    } else {
      this.#unread.push(word);
      this.#wake();
    }
  }

  /** The reader gets what has come, then `why`. */
  fail(why: unknown): void {
    this.#failure ??= { why };
    this.#wake();
  }

  async *pieces(): AsyncGenerator<Piece, void, undefined> {
    for (;;) {
      const piece = this.#unread.shift();
      if (piece) {
        yield piece;
        if (piece.type === "finished") return;
      } else if (this.#failure) {
        throw this.#failure.why;
      } else {
        await new Promise<void>((wake) => (this.#wake = wake));
      }
    }
  }
}
