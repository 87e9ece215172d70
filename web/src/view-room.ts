// The room: ring, phones and status on top; below, the invitation, then the chat.
import { Chat } from "./chat";
import { el, fill, write } from "./dom";
import { faultCard, noticeCard } from "./errors";
import { isNotice } from "./faults";
import { inviteCard } from "./invite";
import { MemberList } from "./members";
import { Details } from "./plan/details";
import { Ring } from "./ring";
import type { Room } from "./room";
import { names, progressOf, statusOf, suffices } from "./status";
import { say } from "./strings";

export interface View {
  element: HTMLElement;
  /** Call when the view goes away. */
  end: () => void;
}

export function roomView(room: Room, backToStart: () => void, cancelOpening: () => void): View {
  const ring = new Ring();
  const list = new MemberList();
  const details = new Details();
  const status = el("p", { class: "status", role: "status" });
  const progress = el("progress", { max: 1, value: 0, "aria-label": say.loadedLabel });
  const faults = new Faults(room);
  const begin = el("button", { class: "primary begin", type: "button", onclick: () => room.begin() }, say.begin);
  const cancel = el("button", { type: "button", onclick: cancelOpening }, say.cancel);
  const side = new Side(room);
  const lower = room.role === "host" ? new HostPart(room) : new GuestPart(room);
  const over = el("section", { class: "card over" });

  const picture = el("div", { class: "picture" }, ring.element, list.element);
  const more = el("div", { class: "more" }, side.element, details.element);
  const panel = el("section", { class: "panel" }, picture, status, progress, cancel, begin, more);
  const main = el("main", { class: "view room" }, panel, el("section", { class: "lower" }, faults.element, lower.element));
  // A button takes no focus from the composer: on a small screen the panel would come back and move the button from under the pointer.
  main.addEventListener("mousedown", (event) => (event.target as Element).closest("button") && event.preventDefault());

  function update(): void {
    if (room.phase === "over") {
      showEnd();
      return;
    }
    const chatting = room.plan !== undefined && (room.phase === "ready" || room.turns.length > 0);
    main.classList.toggle("chatting", chatting);
    ring.update(room);
    list.update(room);
    details.update(room);
    details.element.hidden = room.plan === undefined;
    write(status, statusOf(room));
    const progressed = progressOf(room);
    progress.hidden = progressed === undefined;
    progress.value = progressed && progressed.total > 0 ? progressed.done / progressed.total : 0;
    cancel.hidden = !room.isOpening;
    begin.hidden = room.role === "guest" || room.plan !== undefined || room.isOpening;
    begin.disabled = room.phase !== "gathering" || !suffices(room.capacity);
    faults.update();
    side.update();
    lower.update();
  }

  function showEnd(): void {
    if (over.isConnected) return;
    const back = el("button", { class: "primary", type: "button", onclick: backToStart }, say.backToStart);
    const why = room.end ? faultCard(room.end) : el("p", { role: "status" }, room.leftByMe ? say.youLeft : say.hostEnded);
    fill(over, el("h1", {}, say.roomOver), why, back);
    main.className = "view narrow";
    fill(main, over, room.turns.length > 0 && lower.element);
    lower.update();
    back.focus();
  }

  const unwatch = room.watch(update);
  update();
  return { element: main, end: unwatch };
}

/** Faults that the room survived, each until it is closed. */
class Faults {
  readonly element = el("div", { class: "faults" });
  #shown: Room["faults"] = [];

  constructor(readonly room: Room) {}

  update(): void {
    const { room } = this;
    if (room.faults === this.#shown) return;
    this.#shown = room.faults;
    const cards = room.faults.map((fault) => {
      const close = el("button", { class: "quiet", type: "button", onclick: () => room.dismiss(fault) }, say.dismiss);
      return isNotice(fault) ? noticeCard(fault, close) : faultCard(fault, close);
    });
    fill(this.element, ...cards);
  }
}

/** Host, while a plan is in force: phones that came later, and how they get a part. */
class Side {
  readonly element = el("div", { class: "side" });
  #waiting = el("p", { class: "muted" });
  #again: HTMLButtonElement;
  #invite: HTMLDetailsElement;

  constructor(readonly room: Room) {
    this.#again = el("button", { type: "button", onclick: () => room.begin() }, say.shareAgain);
    this.#invite = el("details", { class: "details" }, el("summary", {}, say.showInvite));
    this.element.append(el("div", { class: "waiting" }, this.#waiting, this.#again), this.#invite);
  }

  update(): void {
    const { room } = this;
    const placed = room.role === "host" && room.askable;
    const waiting = room.members.filter((member) => member.units.length === 0);
    this.element.hidden = !placed;
    this.element.querySelector(".waiting")?.toggleAttribute("hidden", waiting.length === 0);
    write(this.#waiting, say.unplaced(names(waiting)));
    this.#again.disabled = room.phase !== "ready";
    if (placed && room.invitation && this.#invite.children.length === 1) this.#invite.append(inviteCard(room.invitation));
  }
}

/** Host: invite and begin, then ask. */
class HostPart {
  readonly element = el("div", { class: "part" });
  #invite = el("div", { class: "card" });
  #chat: Chat;
  #begun = false;

  constructor(readonly room: Room) {
    this.#chat = new Chat(room);
    this.element.append(this.#invite, this.#chat.element);
  }

  update(): void {
    const { phase, plan, invitation } = this.room;
    if (invitation && !this.#invite.hasChildNodes()) {
      this.#invite.append(el("h1", {}, say.invite), inviteCard(invitation));
    }
    const inviting = plan === undefined && phase !== "over";
    this.#invite.hidden = !inviting || !invitation;
    const { askable } = this.room;
    this.#chat.update();
    // Once: a plan that changes later takes nobody's focus.
    if (askable && !this.#begun) this.#chat.focus();
    this.#begun ||= askable;
  }
}

/** Guest: what this phone is for, then questions of its own. */
class GuestPart {
  readonly element: HTMLElement;
  #card: HTMLElement;
  #note = el("p");
  #chat: Chat;

  constructor(readonly room: Room) {
    this.#chat = new Chat(room);
    this.#card = el("div", { class: "card" }, el("h1", {}, say.guestTitle), this.#note, el("p", { class: "consent" }, say.consent));
    this.element = el("div", { class: "part" }, this.#card, this.#chat.element);
  }

  update(): void {
    const { turns, host } = this.room;
    write(this.#note, say.guestNote(host?.name ?? say.hostFallback));
    this.#card.hidden = turns.length > 0;
    this.#chat.update();
  }
}
