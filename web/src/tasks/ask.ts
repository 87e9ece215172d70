// What tasks need of a room: one answer to one request.
import type { Request, SessionEvent } from "../facade.js";

export type Finished = Extract<SessionEvent, { type: "finished" }>;

/** Resolves with the whole answer; rejects with a fault, or with the signal's reason. */
export type Ask = (request: Request, signal?: AbortSignal) => Promise<Finished>;

/** Whether the request did not fit the room's context. */
export const isTooLong = (thrown: unknown): boolean => (thrown as { code?: unknown } | null)?.code === "prompt.too_long";

/** The text of an answer that had room for all its tokens; a context that ended before is a request that did not fit. */
export async function wholeAnswer(ask: Ask, content: string, maxTokens: number, signal: AbortSignal | undefined): Promise<string> {
  const { text, reason, tokens } = await ask({ messages: [{ role: "user", content }], maxTokens, temperature: 0 }, signal);
  if (reason === "length" && tokens < maxTokens) throw new NoRoom();
  return text.trim();
}

class NoRoom extends Error {
  readonly code = "prompt.too_long";
  readonly remedy = "Send a shorter text, or start the room with a longer context.";

  constructor() {
    super("the room's context ended before the answer did");
  }
}
