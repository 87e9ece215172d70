// The phones of a room: a line each, with progress while they load.
import { el, write } from "./dom";
import type { MemberView } from "./facade";
import { bytes, short } from "./format";
import { badge } from "./palette";
import { allUnits, unitsOf } from "./ring";
import type { Room } from "./room";
import { say } from "./strings";

export class MemberList {
  readonly element = el("ul", { class: "members", "aria-label": say.phonesTitle });
  #lines = new Map<number, Line>();

  update(room: Room): void {
    const present = new Set(room.members.map((member) => member.member));
    for (const [id, line] of this.#lines) {
      if (!present.has(id)) {
        line.element.remove();
        this.#lines.delete(id);
      }
    }
    for (const member of room.members) {
      let line = this.#lines.get(member.member);
      if (!line) {
        line = new Line(member);
        this.#lines.set(member.member, line);
        this.element.append(line.element);
      }
      line.update(room, member);
    }
  }
}

class Line {
  readonly element: HTMLElement;
  #name = el("span", { class: "member-name" });
  #marks = el("span", { class: "member-marks" });
  #facts = el("span", { class: "member-facts" });
  #progress = el("progress", { max: 1, value: 0, hidden: true });

  constructor(member: MemberView) {
    const text = el("div", { class: "member-text" }, el("span", {}, this.#name, " ", this.#marks), this.#facts, this.#progress);
    this.element = el("li", {}, badge(member.member), text);
  }

  update(room: Room, member: MemberView): void {
    write(this.#name, member.name);
    write(this.#marks, marks(room, member).join(", "));
    write(this.#facts, facts(room, member));
    const loads = room.phase === "loading" && member.assigned_bytes > 0;
    this.#progress.hidden = !loads;
    this.#progress.value = loads ? member.loaded_bytes / member.assigned_bytes : 0;
    this.#progress.setAttribute("aria-label", say.loadingLabel(member.name));
  }
}

function marks(room: Room, member: MemberView): string[] {
  const marks = [room.me === member && say.isThisPhone, member.member === 0 && say.startedRoom, member.hidden && say.isHidden, member.low_battery && say.isLow];
  return marks.filter((mark) => mark !== false);
}

function facts(room: Room, member: MemberView): string {
  if (!room.plan) return say.offers(bytes(member.budget_bytes));
  if (member.units.length === 0) return say.holdsNothing;
  if (room.phase === "loading") return say.loadingPart(bytes(member.loaded_bytes), bytes(member.assigned_bytes));
  const figure = member.ms_per_token === null ? bytes(member.assigned_bytes) : say.perToken(short(member.ms_per_token));
  return `${say.holds(unitsOf(room, member.member), allUnits(room))} · ${figure}`;
}
