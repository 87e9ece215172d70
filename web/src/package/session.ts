// A room as a developer sees it.
import type { Fault, HostedModel, MemberView, ModelAddress, ModelEntry, Phone, PhoneOptions, Plan, Request, SessionEvent } from "../facade.js";
import { isNotice } from "../faults.js";
import { models } from "../models.js";
import { Classifier, type Classification, type ClassifyRequest } from "../tasks/classify.js";
import { summarize, type SummarizeRequest, type Summary } from "../tasks/summarize.js";
import { translate, type TranslateRequest } from "../tasks/translate.js";
import { load } from "../wasm.js";
import { Answer, type Word } from "./answer.js";
import { completions, finishedOf, type Completions, type Piece } from "./chat.js";
import { errorOf, LinguaLinkedError } from "./error.js";
import { Source, type Abortable, type Observable } from "./observable.js";
import { Turns } from "./turns.js";

export interface SessionOptions extends Abortable {
  /** Shown to the others. */
  name?: string;
  engine?: "auto" | "gpu" | "cpu";
  /** Memory for weights, cache and scratch that this page offers; 1 GiB unless given. */
  budgetBytes?: number;
  /** Downloads cost: nothing is fetched that the plan does not need. Unless given, what the browser says of the connection. */
  saveData?: boolean;
  /** Sites from which a room's model may come besides this page's server; `https://huggingface.co` unless given. The page's policy must allow them too. */
  modelOrigins?: string[];
  /** Where `lingualinked_bg.wasm` is, if not beside the package's script. */
  wasmUrl?: string | URL;
  /** Where `worker.js` is, if not beside the package's script. */
  workerUrl?: string | URL;
  onProgress?: (progress: Progress) => void;
}

export interface CreateOptions extends SessionOptions {
  /**
   * Id of a model of this page's server, its first unless given; or a GGUF file of this device, which is read once and sent to no server; or
   * one on another site, which this page reads once, and of which the others fetch their parts.
   */
  model?: string | Blob | ModelAddress;
  /** Most tokens of question and answer together; 1024 unless given. */
  contextColumns?: number;
  /** Page that other phones open; this page unless given. */
  joinUrl?: string | URL;
}

/** Where a room stands. */
export type Phase = "reading" | "waiting" | "planning" | "loading" | "ready" | "answering" | "over";

/** Bytes of all phones together; while `reading`, of the model's file. */
export interface Progress {
  phase: Phase;
  loadedBytes: number;
  totalBytes: number;
}

export interface Stats {
  phase: Phase;
  /** What the model needs and what the phones offer, once they are measured. */
  neededBytes: number | undefined;
  offeredBytes: number | undefined;
  /** Of the last answer. */
  tokPerS: number | undefined;
  msToFirstToken: number | undefined;
}

/** Of one page the room takes so many questions; the others wait here. */
const MOST_QUESTIONS = 4;

const NOT_READY: Fault = {
  code: "session.not_ready",
  message: "the model is not loaded yet",
  remedy: "Call begin() once the phones have joined.",
};

const ENDED: Fault = { code: "room.ended", message: "the phone that started the room has ended it", remedy: "Start or join another room." };
const LEFT: Fault = { code: "session.left", message: "this page left the room", remedy: "Start or join a room again." };

/** Starts a room on this page's server. */
export async function createSession(options: CreateOptions = {}): Promise<Session> {
  const { model } = options;
  const { name, hosted } = await guarded(options, async () => (typeof model === "object" ? elsewhere(model) : chosen(model)));
  return opened("host", options, name, async (phone) => {
    const { invitation } = await phone.host(hosted);
    return new URL(`#${invitation}`, options.joinUrl ?? location.href).href;
  });
}

/** Joins a room by its link. */
export async function joinSession(url: string | URL, options: SessionOptions = {}): Promise<Session> {
  return opened("guest", options, "", async (phone) => {
    await phone.join(String(url));
    return String(url);
  });
}

/** What a room is started with, and what answers call it. */
interface Hosted {
  name: string;
  hosted: HostedModel;
}

function elsewhere(model: Blob | ModelAddress): Hosted {
  if ("address" in model) return { name: model.address, hosted: model };
  return { name: model instanceof File ? model.name : "file", hosted: model };
}

async function chosen(id: string | undefined): Promise<Hosted> {
  const known = await models();
  const model: ModelEntry | undefined = id === undefined ? known[0] : known.find((entry) => entry.id === id);
  if (model) return { name: model.id, hosted: { id: model.id, file: model.file, manifest: model.manifest } };
  throw new LinguaLinkedError({ code: "model.unknown", message: "this server has no such model", remedy: "Start it with --model FILE, or choose one of models.list()." });
}

async function opened(role: Session["role"], options: CreateOptions, model: string, enter: (phone: Phone) => Promise<string>): Promise<Session> {
  return guarded(options, async () => {
    const { Phone } = await load(options.wasmUrl);
    const phone = new Phone(phoneOptions(options));
    const session = new Session(phone, role, model, options.onProgress);
    try {
      const entering = enter(phone);
      session.entered(await (options.signal ? Promise.race([entering, aborted(options.signal)]) : entering));
      return session;
    } catch (thrown) {
      leave(phone);
      throw thrown;
    }
  });
}

function leave(phone: Phone): void {
  try {
    phone.leave();
  } catch {
    // A room that never began cannot be left.
  }
}

/** Errors as ours; after an abort, the abort's own reason. */
async function guarded<T>({ signal }: Abortable, work: () => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  try {
    return await work();
  } catch (thrown) {
    signal?.throwIfAborted();
    throw errorOf(thrown);
  }
}

function phoneOptions({ name = "page", engine, budgetBytes, saveData, contextColumns, modelOrigins, workerUrl }: CreateOptions): PhoneOptions {
  return {
    name,
    workerUrl: String(workerUrl ?? new URL("./worker.js", import.meta.url)),
    ...(engine !== undefined && { engine }),
    ...(budgetBytes !== undefined && { budgetBytes }),
    ...(saveData !== undefined && { saveData }),
    ...(contextColumns !== undefined && { contextColumns }),
    ...(modelOrigins !== undefined && { modelOrigins }),
  };
}

export class Session {
  readonly chat: { readonly completions: Completions };
  readonly members: Observable<readonly MemberView[]>;
  readonly plan: Observable<Plan | undefined>;
  readonly stats: Observable<Stats>;
  #members: Source<readonly MemberView[]>;
  #plan: Source<Plan | undefined>;
  #stats: Source<Stats>;
  #listeners = new Set<(event: SessionEvent) => void>();
  #over = new AbortController();
  /** Answers that the room has not ended yet, by question. */
  #answers = new Map<number, Answer>();
  #turns = new Turns(MOST_QUESTIONS);

  #wholeAnswer = (request: Request, signal?: AbortSignal) => finishedOf(this.#ask(request, { signal }));
  #classifier = new Classifier(this.#wholeAnswer);

  #phone: Phone;
  #url = "";
  #onProgress: ((progress: Progress) => void) | undefined;

  /** @internal */
  constructor(
    phone: Phone,
    readonly role: "host" | "guest",
    model: string,
    onProgress: ((progress: Progress) => void) | undefined,
  ) {
    this.#phone = phone;
    this.#onProgress = onProgress;
    const ended = this.#over.signal;
    this.members = this.#members = new Source<readonly MemberView[]>([], ended);
    this.plan = this.#plan = new Source<Plan | undefined>(undefined, ended);
    this.stats = this.#stats = new Source<Stats>({ phase: "waiting", neededBytes: undefined, offeredBytes: undefined, tokPerS: undefined, msToFirstToken: undefined }, ended);
    this.chat = { completions: completions(model, (request, options) => this.#ask(request, options)) };
    this.#follow(phone.events()).catch((thrown: unknown) => this.#end(errorOf(thrown)));
  }

  /** Link for the other phones; keep its fragment secret: it lets in. */
  get url(): string {
    return this.#url;
  }

  /** @internal */
  entered(url: string): void {
    this.#url = url;
  }

  /** Aborts when the room is over; its reason says why. */
  get ended(): AbortSignal {
    return this.#over.signal;
  }

  /** Host: shares the model out among the phones that have joined; resolves when all have loaded their parts. */
  async begin({ signal }: Abortable = {}): Promise<void> {
    signal?.throwIfAborted();
    await this.members.until((members) => members.length > 0 && members.every(({ measured }) => measured.length > 0), { signal });
    await this.stats.until(({ neededBytes }) => neededBytes !== undefined, { signal });
    this.#note({ phase: "planning" });
    const ready = this.#next((event) => event.type === "ready", signal);
    this.#phone.begin();
    await ready;
  }

  /** Which label fits the text, by how likely the model finds each. */
  classify(request: ClassifyRequest, { signal }: Abortable = {}): Promise<Classification> {
    return this.#classifier.classify(request, signal);
  }

  /** A text of any length in a few sentences; what is longer than the room's context is summarised in parts, and the parts merged. */
  summarize(request: SummarizeRequest, { signal }: Abortable = {}): Promise<Summary> {
    return summarize(this.#wholeAnswer, request, signal);
  }

  /** Paragraph by paragraph. How good it is depends on the model: ask one that was trained on both languages. */
  translate(request: TranslateRequest, { signal }: Abortable = {}): Promise<string> {
    return translate(this.#wholeAnswer, request, signal);
  }

  leave(): void {
    leave(this.#phone);
    this.#end(new LinguaLinkedError(LEFT));
  }

  async *#ask(request: Request, { signal }: Abortable): AsyncGenerator<Piece, void, undefined> {
    const stop = signal ? AbortSignal.any([signal, this.ended]) : this.ended;
    stop.throwIfAborted();
    await this.#turns.begin(stop);
    const answer = new Answer();
    const question = this.#begin(request, answer, stop);
    const abort = () => answer.fail(stop.reason);
    stop.addEventListener("abort", abort);
    try {
      yield* answer.pieces();
    } catch (thrown) {
      throw errorOf(thrown);
    } finally {
      stop.removeEventListener("abort", abort);
      // Its turn ends when the room has ended it, at the next token.
      if (!answer.ended && !this.ended.aborted) this.#phone.stop(question);
    }
  }

  /** Asks the room, which ends the turn with the answer. */
  #begin(request: Request, answer: Answer, stop: AbortSignal): number {
    try {
      stop.throwIfAborted();
      if (this.plan.value === undefined) throw new LinguaLinkedError(NOT_READY);
      const question = this.#phone.generate(request);
      this.#answers.set(question, answer);
      return question;
    } catch (thrown) {
      this.#turns.end();
      throw errorOf(thrown);
    }
  }

  #hear(word: Word): void {
    const answer = this.#answers.get(word.question);
    answer?.take(word);
    if (!answer?.ended) return;
    this.#answers.delete(word.question);
    this.#turns.end();
  }

  /** The next event for which `wanted` holds; a failure in between rejects. */
  #next(wanted: (event: SessionEvent) => boolean, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = signal ? AbortSignal.any([signal, this.ended]) : this.ended;
      const settle = (done: () => void) => {
        this.#listeners.delete(look);
        stop.removeEventListener("abort", aborted);
        done();
      };
      const aborted = () => settle(() => reject(stop.reason));
      const look = (event: SessionEvent) => {
        if (wanted(event)) settle(resolve);
        else if (event.type === "failed" && !isNotice(event.fault)) settle(() => reject(new LinguaLinkedError(event.fault)));
      };
      stop.addEventListener("abort", aborted);
      this.#listeners.add(look);
    });
  }

  async #follow(events: ReadableStream<SessionEvent>): Promise<void> {
    const reader = events.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      this.#apply(next.value);
      for (const listener of [...this.#listeners]) listener(next.value);
    }
  }

  #apply(event: SessionEvent): void {
    if (this.stats.value.phase === "reading" && event.type !== "reading") this.#note({ phase: "waiting" });
    switch (event.type) {
      case "reading":
        if (this.stats.value.phase !== "reading") this.#stats.set({ ...this.stats.value, phase: "reading" });
        this.#onProgress?.({ phase: "reading", loadedBytes: event.bytesDone, totalBytes: event.bytesTotal });
        break;
      case "members":
        this.#setMembers(event.members);
        break;
      case "capacity":
        if (event.measured) this.#note({ neededBytes: event.neededBytes, offeredBytes: event.offeredBytes });
        break;
      case "planned":
        this.#plan.set(event.plan);
        this.#note({ phase: "loading" });
        break;
      case "ready":
        this.#note({ phase: "ready" });
        break;
      case "token":
        if (this.stats.value.phase !== "answering") this.#note({ phase: "answering" });
        this.#hear(event);
        break;
      case "finished":
        this.#hear(event);
        this.#note({ phase: this.#afterAnAnswer(), tokPerS: event.tokPerS, msToFirstToken: event.msToFirstToken });
        break;
      case "refused":
        this.#hear(event);
        this.#note({ phase: this.#afterAnAnswer() });
        break;
      case "failed":
        if (event.fatal) this.#end(new LinguaLinkedError(event.fault));
        break;
      case "left":
        this.#end(new LinguaLinkedError(ENDED));
        break;
    }
  }

  #afterAnAnswer(): Phase {
    const { phase } = this.stats.value;
    return phase === "answering" && this.#answers.size === 0 ? "ready" : phase;
  }

  /** A plan that was dropped shows in members that hold nothing. */
  #setMembers(members: readonly MemberView[]): void {
    this.#members.set(members);
    const placed = members.some(({ units }) => units.length > 0);
    const { phase } = this.stats.value;
    if (!placed && this.plan.value !== undefined && (phase === "ready" || phase === "answering")) {
      this.#plan.set(undefined);
      this.#note({ phase: "waiting" });
    }
    this.#progress();
  }

  #note(change: Partial<Stats>): void {
    this.#stats.set({ ...this.stats.value, ...change });
    if (change.phase !== undefined) this.#progress();
  }

  #progress(): void {
    const { phase } = this.stats.value;
    const sum = (of: (member: MemberView) => number) => this.members.value.reduce((total, member) => total + of(member), 0);
    const totalBytes = sum(({ assigned_bytes }) => assigned_bytes);
    // The last report of a phone comes after the news that all are ready.
    const loadedBytes = phase === "ready" ? totalBytes : sum(({ loaded_bytes }) => loaded_bytes);
    this.#onProgress?.({ phase, loadedBytes, totalBytes });
  }

  #end(why: Error): void {
    if (this.ended.aborted) return;
    this.#note({ phase: "over" });
    this.#over.abort(why);
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
