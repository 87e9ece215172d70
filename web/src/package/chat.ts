// The part of OpenAI's chat completions that a room can answer.
import type { Message, Request, SessionEvent } from "../facade.js";
import type { Finished } from "../tasks/ask.js";
import type { Abortable } from "./observable.js";

export interface ChatCompletionRequest {
  messages: Message[];
  stream?: boolean;
  /** Tokens of the answer, 256 unless given. */
  max_tokens?: number;
  temperature?: number;
  top_p?: number;
  seed?: number;
  /** Not in OpenAI's API. */
  top_k?: number;
  /** Not in OpenAI's API. */
  min_p?: number;
  /** Not in OpenAI's API. */
  repeat_penalty?: number;
}

export type FinishReason = "stop" | "length";

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

interface Answer {
  id: string;
  /** Seconds since 1970. */
  created: number;
  model: string;
}

export interface ChatCompletionChunk extends Answer {
  object: "chat.completion.chunk";
  choices: [{ index: 0; delta: { role?: "assistant"; content?: string }; finish_reason: FinishReason | null }];
  /** With the last chunk. */
  usage?: Usage;
}

export interface ChatCompletion extends Answer {
  object: "chat.completion";
  choices: [{ index: 0; message: { role: "assistant"; content: string }; finish_reason: FinishReason }];
  usage: Usage;
}

export interface Completions {
  create(request: ChatCompletionRequest & { stream: true }, options?: Abortable): Promise<AsyncIterable<ChatCompletionChunk>>;
  create(request: ChatCompletionRequest & { stream?: false }, options?: Abortable): Promise<ChatCompletion>;
}

/** What the room gives of an answer. */
export type Piece = Extract<SessionEvent, { type: "token" | "finished" }>;

/** An answer's pieces as they come; ending early stops it. */
export type Ask = (request: Request, options: Abortable) => AsyncGenerator<Piece, void, undefined>;

export function completions(model: string, ask: Ask): Completions {
  const create = async (request: ChatCompletionRequest, options: Abortable = {}) => {
    const head: Answer = { id: `chatcmpl-${crypto.randomUUID()}`, created: Math.floor(Date.now() / 1000), model };
    const pieces = ask(requestOf(request), options);
    // What is refused is refused here, not at the first chunk.
    const first = await pieces.next();
    const rest = resumed(first, pieces);
    return request.stream ? chunks(head, rest) : whole(head, rest);
  };
  return { create: create as Completions["create"] };
}

async function* resumed(first: IteratorResult<Piece, void>, rest: AsyncGenerator<Piece, void, undefined>): AsyncGenerator<Piece, void, undefined> {
  try {
    if (!first.done) yield first.value;
    yield* rest;
  } finally {
    await rest.return();
  }
}

async function* chunks(head: Answer, pieces: AsyncIterable<Piece>): AsyncGenerator<ChatCompletionChunk, void, undefined> {
  const chunk = (delta: ChatCompletionChunk["choices"][0]["delta"], finish_reason: FinishReason | null = null): ChatCompletionChunk => ({
    ...head, object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason }],
  });
  yield chunk({ role: "assistant", content: "" });
  for await (const piece of pieces) {
    // Bytes of a character that is not whole yet give no text.
    if (piece.type === "token" && piece.text !== "") yield chunk({ content: piece.text });
    if (piece.type === "finished") yield { ...chunk({}, finishOf(piece)), usage: usageOf(piece) };
  }
}

async function whole(head: Answer, pieces: AsyncIterable<Piece>): Promise<ChatCompletion> {
  const finished = await finishedOf(pieces);
  const message = { role: "assistant" as const, content: finished.text };
  return { ...head, object: "chat.completion", choices: [{ index: 0, message, finish_reason: finishOf(finished) }], usage: usageOf(finished) };
}

/** The end of an answer, which has all of it. */
export async function finishedOf(pieces: AsyncIterable<Piece>): Promise<Finished> {
  for await (const piece of pieces) if (piece.type === "finished") return piece;
  throw new DOMException("the answer was stopped", "AbortError");
}

function requestOf({ messages, max_tokens, temperature, top_p, seed, top_k, min_p, repeat_penalty }: ChatCompletionRequest): Request {
  const given = { maxTokens: max_tokens, temperature, topP: top_p, seed, topK: top_k, minP: min_p, repeatPenalty: repeat_penalty };
  return { messages, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
}

const finishOf = ({ reason }: Finished): FinishReason => (reason === "length" ? "length" : "stop");

function usageOf({ promptTokens, tokens }: Finished): Usage {
  return { prompt_tokens: promptTokens, completion_tokens: tokens, total_tokens: promptTokens + tokens };
}
