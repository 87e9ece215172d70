// One answer between the room that writes it and the caller who reads it, each at its own speed.
import type { SessionEvent } from "../facade.js";
import { isNotice } from "../faults.js";
import type { Piece } from "./chat.js";
import { LinguaLinkedError } from "./error.js";

export class Answer {
  /** Resolves when the room is free for the next question. */
  readonly over: Promise<void>;
  ended = false;
  #unread: Piece[] = [];
  #failure: { why: unknown } | undefined;
  #release = () => {};
  #wake = () => {};

  constructor() {
    this.over = new Promise((resolve) => (this.#release = resolve));
  }

  /** An event of the room while it writes this answer. */
  take(event: SessionEvent): void {
    if (event.type === "token" || event.type === "finished") {
      this.#unread.push(event);
      this.#wake();
    }
    const failed = event.type === "refused" || (event.type === "failed" && !isNotice(event.fault));
    if (failed) this.fail(new LinguaLinkedError(event.fault));
    if (failed || event.type === "finished") this.close();
  }

  /** The reader gets what has come, then `why`. */
  fail(why: unknown): void {
    this.#failure ??= { why };
    this.#wake();
  }

  /** The room writes no more of it. */
  close(): void {
    this.ended = true;
    this.#release();
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
