// What a page knows of its room: events in, a state that views draw from.
import { faultOf } from "./errors";
import type { Explanation, Fault, MemberView, Phone, Plan, Request, SessionEvent } from "./facade";
import { isNotice } from "./faults";
import { movesBetween, type Change } from "./plan/moves";
import type { Kept } from "./reload";
import { say } from "./strings";
import type { Finished } from "./tasks/ask";
import { Presets, type Task } from "./tasks/presets";

/** Where the room stands. `over` is final. */
export type Phase = "opening" | "gathering" | "planning" | "loading" | "ready" | "answering" | "over";

export interface Turn {
  task: Task;
  question: string;
  answer: string;
  state: "writing" | "stop" | "length" | "cancelled" | "broken";
  tokens: number;
  tokPerS: number;
  msToFirstToken: number;
  /** Phones that computed it. */
  phones: number;
}

export interface Capacity {
  neededBytes: number;
  offeredBytes: number;
  measured: boolean;
}

type Resumed = Extract<SessionEvent, { type: "resumed" }>;

/** Shortest time over which a speed is told, and longest it looks back, ms. */
const SPEED_SPAN = [500, 4000] as const;

/** More would hide the chat. */
const MOST_FAULTS = 3;

/** As much history as a person reads. */
const MOST_CHANGES = 20;

/** Why a task ended early: the person wanted it. */
const STOPPED = Symbol("stopped");

export class Room {
  phase: Phase = "opening";
  members: MemberView[] = [];
  /** Of a model's file that is read before the room opens, bytes. */
  read: { done: number; total: number } | undefined;
  capacity: Capacity | undefined;
  plan: Plan | undefined;
  /** Why the plan is as it is, once it is known. */
  explanation: Explanation | undefined;
  /** Of the plan, the latest last. */
  changes: Change[] = [];
  turns: Turn[] = [];
  /** The latest last; the person may close them. */
  faults: Fault[] = [];
  /** Why the room is over; nothing if it ended in good order. */
  end: Fault | undefined;
  /** Whether this page ended it. */
  leftByMe = false;
  stopping = false;
  draft = "";
  /** Fragment of the room's link. */
  invitation: string | undefined;
  /** The room mends itself; what is being written goes on. */
  #interrupted = false;
  /** The question of this page that is being answered, or was the last. */
  #question: number | undefined;
  #fetched: { at: number; bytes: number }[] = [];
  /** Of everyone who ever was here. */
  #names = new Map<number, string>();
  #listeners = new Set<() => void>();
  #presets = new Presets((request) => this.#whole(request));
  /** The request of a task under way. */
  #step: { resolve: (finished: Finished) => void; reject: (why: unknown) => void } | undefined;

  constructor(
    readonly phone: Phone,
    readonly role: "host" | "guest",
    readonly myName: string,
  ) {
    this.#follow().catch((thrown: unknown) => this.#finish(faultOf(thrown)));
  }

  /** Calls `listener` after every change, until the returned function is called. */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Goes on after the page was loaded again. Whether the last answer does, the session tells. */
  restore({ turns, draft, planned }: Kept): void {
    this.turns = turns;
    this.draft = draft;
    if (turns.at(-1)?.state === "writing") this.#endTurn();
    if (planned) this.phase = "planning";
  }

  opened(invitation: string): void {
    this.invitation = invitation;
    if (this.phase === "opening") this.phase = "gathering";
    this.changed();
  }

  begin(): void {
    this.phase = "planning";
    this.faults = [];
    this.#try(() => this.phone.begin());
  }

  /** Chats, or does a task with `text` alone. */
  ask(text: string, task: Task): void {
    const before = this.turns.filter((turn) => turn.answer !== "" && turn.task === "chat");
    const turn: Turn = {
      task,
      question: text,
      answer: "",
      state: "writing",
      tokens: 0,
      tokPerS: 0,
      msToFirstToken: 0,
      phones: new Set(this.plan?.stages.map((stage) => stage.member)).size,
    };
    this.turns.push(turn);
    this.phase = "answering";
    this.stopping = false;
    this.faults = [];
    if (task !== "chat") {
      void this.#perform(task, turn);
      this.changed();
      return;
    }
    const said = before.flatMap((turn) => [
      { role: "user" as const, content: turn.question },
      { role: "assistant" as const, content: turn.answer },
    ]);
    this.#try(() => this.#generate({ messages: [...said, { role: "user", content: text }] }));
  }

  /** Answers the last question anew. */
  askAgain(): void {
    const last = this.turns.pop();
    if (last) this.ask(last.question, last.task);
  }

  stop(): void {
    const question = this.#question;
    this.stopping = true;
    this.#try(() => question !== undefined && this.phone.stop(question));
  }

  newChat(): void {
    this.turns = [];
    this.changed();
  }

  leave(): void {
    this.leftByMe = true;
    try {
      this.phone.leave();
    } catch {
      // A room that never began cannot be left.
    }
    this.#finish(undefined);
  }

  /** Something a person should know that stops nothing. */
  notice(fault: Fault): void {
    if (this.phase === "over") return;
    this.#note(fault);
    this.changed();
  }

  dismiss(fault: Fault): void {
    this.faults = this.faults.filter((known) => known !== fault);
    this.changed();
  }

  /** Weight bytes per second over the network, of all phones; 0 while unknown. */
  get bytesPerSecond(): number {
    const first = this.#fetched[0];
    const last = this.#fetched.at(-1);
    if (!first || !last || last.at - first.at < SPEED_SPAN[0]) return 0;
    return ((last.bytes - first.bytes) / (last.at - first.at)) * 1000;
  }

  /** This page among the members; unknown if two share its name. */
  get me(): MemberView | undefined {
    if (this.role === "host") return this.members.find((member) => member.member === 0);
    const mine = this.members.filter((member) => member.member !== 0 && member.name === this.myName);
    return mine.length === 1 ? mine[0] : undefined;
  }

  get host(): MemberView | undefined {
    return this.members.find((member) => member.member === 0);
  }

  /** Whether a question would be taken, or is being answered. */
  get askable(): boolean {
    return this.phase === "ready" || this.phase === "answering";
  }

  /** Host: nobody can have joined yet. */
  get isOpening(): boolean {
    return this.role === "host" && this.phase === "opening";
  }

  /** Of a member, even one who left. */
  nameOf(member: number): string | undefined {
    return this.#names.get(member);
  }

  changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  async #follow(): Promise<void> {
    const reader = this.phone.events().getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      this.apply(next.value);
      this.changed();
    }
  }

  /** One event of the session. */
  apply(event: SessionEvent): void {
    if (this.phase === "over") return;
    switch (event.type) {
      case "reading":
        this.read = { done: event.bytesDone, total: event.bytesTotal };
        break;
      case "members":
        this.#setMembers(event.members);
        break;
      case "capacity":
        this.capacity = event;
        break;
      case "planned":
        this.#changePlan(event.plan);
        this.phase = "loading";
        this.#fetched = [];
        break;
      case "ready":
        this.phase = this.turns.at(-1)?.state === "writing" ? "answering" : "ready";
        this.#interrupted = false;
        break;
      case "explained":
        if (event.epoch === this.plan?.epoch) this.explanation = event.explanation;
        break;
      case "resumed":
        this.#resumeTurn(event);
        break;
      case "token":
        if (event.question === this.#question) this.#addToken(event.text, event.atMs);
        break;
      case "finished":
        if (event.question !== this.#question) break;
        if (this.#step) this.#step.resolve(event);
        else this.#finishTurn(event);
        break;
      case "refused":
        if (event.question !== this.#question) break;
        if (this.#step) this.#step.reject(event.fault);
        else this.#refuseTurn(event.fault);
        break;
      case "interrupted":
        this.#interrupted = true;
        this.#note(event.fault);
        break;
      case "failed":
        if (event.fatal) this.#finish(event.fault);
        else this.#fail(event.fault);
        break;
      case "left":
        this.#finish(undefined);
        break;
    }
  }

  #changePlan(plan: Plan): void {
    const moves = this.plan ? movesBetween(this.plan, plan) : [];
    if (moves.length > 0) this.changes = [...this.changes, { at: new Date(), moves }].slice(-MOST_CHANGES);
    this.plan = plan;
    this.explanation = undefined;
  }

  /** A plan that was dropped shows in members that hold nothing. */
  #setMembers(members: MemberView[]): void {
    this.members = members;
    for (const { member, name } of members) this.#names.set(member, name);
    const placed = members.some((member) => member.units.length > 0);
    const held = this.phase === "loading" || this.askable;
    if (!placed && held && !this.#interrupted) {
      this.#breakOff();
      this.plan = undefined;
      this.phase = "gathering";
    }
    if (this.phase === "opening" && this.role === "guest") this.phase = "gathering";
    this.#noteFetched(members);
  }

  #noteFetched(members: MemberView[]): void {
    const at = performance.now();
    const bytes = members.reduce((sum, member) => sum + member.fetched_bytes + member.from_room_bytes, 0);
    this.#fetched.push({ at, bytes });
    this.#fetched = this.#fetched.filter((sample) => at - sample.at <= SPEED_SPAN[1]);
  }

  /** Steps of a task do not go on: what had them ended with the page. */
  #resumeTurn({ question, text, ids }: Resumed): void {
    const turn = this.turns.at(-1);
    if (turn?.task !== "chat" || turn.state !== "broken") {
      this.phone.stop(question);
      return;
    }
    this.#question = question;
    Object.assign(turn, { answer: text, tokens: ids.length, state: "writing" });
    this.#interrupted = true;
  }

  #addToken(text: string, atMs: number): void {
    const turn = this.turns.at(-1);
    if (!turn) return;
    if (turn.tokens === 0) turn.msToFirstToken = atMs;
    turn.tokens += 1;
    // The steps of a task are not its answer.
    if (!this.#step) turn.answer += text;
    turn.state = "writing";
    this.phase = "answering";
  }

  async #perform(task: Exclude<Task, "chat">, turn: Turn): Promise<void> {
    const began = performance.now();
    try {
      turn.answer = await this.#presets.do(task, turn.question, { sentiment: say.sentimentOf });
      turn.state = "stop";
    } catch (thrown) {
      if (thrown === STOPPED) turn.state = "cancelled";
      else this.#refuseTurn(faultOf(thrown));
    }
    turn.msToFirstToken = performance.now() - began;
    if (this.phase === "answering") this.phase = "ready";
    this.stopping = false;
    this.changed();
  }

  /** One request of a task. */
  #whole(request: Request): Promise<Finished> {
    return new Promise<Finished>((resolve, reject) => {
      if (this.stopping) {
        reject(STOPPED);
        return;
      }
      this.#step = { resolve: (finished) => (finished.reason === "cancelled" ? reject(STOPPED) : resolve(finished)), reject };
      this.#generate(request);
    }).finally(() => (this.#step = undefined));
  }

  #finishTurn(event: Finished): void {
    const turn = this.turns.at(-1);
    if (turn) {
      turn.state = event.reason;
      turn.tokens = event.tokens;
      turn.tokPerS = event.tokPerS;
      turn.msToFirstToken = event.msToFirstToken;
      if (event.text) turn.answer = event.text;
    }
    if (this.phase === "answering") this.phase = "ready";
    this.stopping = false;
  }

  #generate(request: Request): void {
    this.#question = this.phone.generate(request);
  }

  #refuseTurn(why: Fault): void {
    this.#note(why);
    this.#breakOff();
  }

  /** What is being answered goes on: the session tells of each question by itself. */
  #fail(fault: Fault): void {
    this.#note(fault);
    // A new plan that failed leaves the one in force.
    if (this.phase === "planning" && !isNotice(fault) && fault.code !== "session.busy") this.phase = this.plan ? "ready" : "gathering";
  }

  /** Faults know phones by number, people by name. */
  #note(fault: Fault): void {
    const named = { ...fault, message: this.#named(fault.message) };
    this.faults = [...this.faults.filter((known) => known.code !== fault.code), named].slice(-MOST_FAULTS);
  }

  #named(message: string): string {
    return message.replace(/\bphone (\d+)\b/g, (words, number: string) => this.nameOf(Number(number)) ?? words);
  }

  /** The answer being written will not go on. A question that was refused goes back to the composer. */
  #breakOff(): void {
    if (this.phase !== "answering") return;
    this.phase = "ready";
    this.stopping = false;
    this.#endTurn();
  }

  #endTurn(): void {
    const turn = this.turns.at(-1);
    if (!turn) return;
    if (turn.tokens > 0) {
      turn.state = "broken";
    } else {
      this.turns.pop();
      this.draft = turn.question;
    }
  }

  #finish(why: Fault | undefined): void {
    if (this.phase === "over") return;
    this.#breakOff();
    this.phase = "over";
    this.end = why;
    this.changed();
  }

  #try(command: () => void): void {
    try {
      command();
    } catch (thrown) {
      this.#fail(faultOf(thrown));
      this.#breakOff();
    }
    this.changed();
  }
}
