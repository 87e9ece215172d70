// Questions and answers.
import { el, fill, write } from "./dom";
import { short } from "./format";
import { copyButton } from "./invite";
import { Markdown } from "./markdown";
import { option } from "./field";
import type { Room, Turn } from "./room";
import { say } from "./strings";
import { TASKS, type Task } from "./tasks/presets";

/** So close to the end counts as at the end, px. */
const NEAR_END = 48;

export class Chat {
  readonly element: HTMLElement;
  #log = el("div", { class: "log", tabindex: 0, role: "log", "aria-live": "off", "aria-label": say.answer });
  #status = el("p", { class: "unseen", role: "status" });
  #input = el("textarea", {
    id: "question", rows: 1, placeholder: say.askHint, "aria-label": say.question, enterkeyhint: "send", autocomplete: "off",
  });
  #task = el("select", { class: "task", "aria-label": say.task }, ...TASKS.map((task) => option(task, say.tasks[task], task === "chat")));
  #send = el("button", { class: "primary", type: "submit" }, say.ask);
  #stop: HTMLButtonElement;
  #composer: HTMLElement;
  #new: HTMLButtonElement;
  #shown: ShownTurn[] = [];
  #empty = el("p", { class: "empty" }, say.emptyChat);
  #wasAnswering = false;

  constructor(readonly room: Room) {
    this.#stop = el("button", { type: "button", onclick: () => room.stop() }, say.stop);
    this.#new = el("button", { class: "quiet", type: "button", onclick: () => room.newChat() }, say.newChat);
    this.#composer = el(
      "form",
      { class: "composer", onsubmit: (event) => this.#submit(event) },
      this.#task,
      this.#input,
      this.#send,
      this.#stop,
    );
    this.element = el("section", { class: "chat" }, this.#log, this.#status, this.#composer);
    this.element.addEventListener("keydown", (event) => this.#onKey(event));
    this.#input.addEventListener("input", () => this.#onInput());
    this.#task.onchange = () => (this.#input.placeholder = this.#task.value === "chat" ? say.askHint : say.taskHint);
    this.#input.value = room.draft;
  }

  update(): void {
    const { room } = this;
    const answering = room.phase === "answering";
    this.element.hidden = !room.askable && room.turns.length === 0;
    const atEnd = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < NEAR_END;
    this.#showTurns();
    if (answering && !this.#wasAnswering) this.#log.scrollTop = this.#log.scrollHeight;
    else if (atEnd) this.#log.scrollTop = this.#log.scrollHeight;
    this.#takeBackDraft();
    this.#composer.hidden = room.plan === undefined || room.phase === "over";
    this.#send.hidden = answering;
    this.#send.disabled = room.phase !== "ready" || this.#input.value.trim() === "";
    this.#stop.hidden = !answering;
    this.#stop.disabled = room.stopping;
    write(this.#status, this.#spoken(answering));
    this.#wasAnswering = answering;
  }

  focus(): void {
    this.#input.focus();
  }

  #showTurns(): void {
    const { turns, phase } = this.room;
    const same = (shown: ShownTurn, index: number) => shown.turn === turns[index];
    if (this.#shown.length > turns.length || !this.#shown.every(same)) this.#shown = [];
    const added = this.#shown.length === 0 || this.#shown.length < turns.length;
    for (const turn of turns.slice(this.#shown.length)) this.#shown.push(new ShownTurn(this.room, turn));
    if (added) {
      fill(this.#log, ...(turns.length === 0 ? [this.#empty] : this.#shown.map((shown) => shown.element)), this.#new);
    }
    this.#new.hidden = turns.length === 0 || phase !== "ready";
    this.#shown.forEach((shown, index) => shown.update(index === turns.length - 1 && phase === "ready"));
  }

  /** A refused question comes back to be changed. */
  #takeBackDraft(): void {
    if (this.room.draft !== "" && this.#input.value === "") {
      this.#input.value = this.room.draft;
      this.#grow();
    }
  }

  #spoken(answering: boolean): string {
    const last = this.room.turns.at(-1);
    if (!last) return "";
    if (answering) return last.tokens === 0 ? say.reading : say.answer;
    return last.state === "broken" ? say.answerBroken : say.answerDone;
  }

  #submit(event: Event): void {
    event.preventDefault();
    const question = this.#input.value.trim();
    if (question === "" || this.room.phase !== "ready") return;
    this.#input.value = "";
    this.room.draft = "";
    this.#grow();
    this.room.ask(question, this.#task.value as Task);
  }

  #onInput(): void {
    this.room.draft = this.#input.value;
    this.#grow();
    this.update();
  }

  #onKey(event: KeyboardEvent): void {
    if (event.key === "Escape" && this.room.phase === "answering") {
      this.room.stop();
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target === this.#input) {
      this.#submit(event);
    }
  }

  /** As high as its text, up to the limit in style.css. */
  #grow(): void {
    this.#input.style.height = "auto";
    this.#input.style.height = `${this.#input.scrollHeight + 2}px`;
  }
}

class ShownTurn {
  readonly element: HTMLElement;
  #answer = new Markdown();
  #end = el("p", { class: "problem" });
  #figures = el("p", { class: "figures" });
  #actions: HTMLElement;
  #again: HTMLButtonElement;

  constructor(readonly room: Room, readonly turn: Turn) {
    const copy = copyButton(() => turn.answer);
    copy.classList.add("quiet");
    this.#again = el("button", { class: "quiet", type: "button", onclick: () => room.askAgain() }, say.again);
    this.#actions = el("div", { class: "actions" }, copy, this.#again);
    this.element = el(
      "article",
      { class: "turn" },
      el("div", { class: "asked" }, el("span", { class: "unseen" }, say.you), turn.task !== "chat" && el("p", { class: "muted" }, say.tasks[turn.task]), el("p", {}, turn.question)),
      el("div", { class: "answer" }, el("span", { class: "unseen" }, say.answer), this.#answer.element, this.#end, this.#figures, this.#actions),
    );
  }

  update(repeatable: boolean): void {
    const { turn } = this;
    const writing = turn.state === "writing";
    this.#answer.show(turn.answer);
    this.#answer.element.classList.toggle("writing", writing);
    write(this.#end, ending(turn));
    write(this.#figures, writing || turn.msToFirstToken === 0 ? "" : figures(turn));
    this.#actions.hidden = writing;
    this.#again.hidden = !repeatable;
  }
}

function ending(turn: Turn): string {
  switch (turn.state) {
    case "length":
      return say.endedLength;
    case "cancelled":
      return say.endedCancelled;
    case "broken":
      return say.endedBroken;
    default:
      return "";
  }
}

function figures(turn: Turn): string {
  const first = short(turn.msToFirstToken / 1000);
  return turn.tokPerS > 0 ? say.figures(short(turn.tokPerS), turn.phones, first) : say.figuresShort(turn.phones, first);
}
