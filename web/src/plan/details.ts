// Under "Details": the plan as bars, in words and as a table, and what changed hands.
import { el, fill } from "../dom";
import type { MemberView, UnitRange } from "../facade";
import { bytes } from "../format";
import { keptBy } from "../ring";
import type { Room } from "../room";
import { say } from "../strings";
import { planBars } from "./bars";
import type { Change } from "./moves";
import { explained, forecast } from "./words";

export class Details {
  readonly element: HTMLDetailsElement;
  #body = el("div", { class: "details-body" });
  #drawn = "";

  constructor() {
    this.element = el("details", { class: "details" }, el("summary", {}, say.details), this.#body);
  }

  update(room: Room): void {
    const { members, plan, explanation, changes } = room;
    const drawing = JSON.stringify([members, plan, explanation, changes, room.turns.at(-1)?.tokPerS]);
    if (!plan || drawing === this.#drawn) return;
    this.#drawn = drawing;
    const lines = [...forecast(room, plan), ...(explanation ? explained(room, explanation) : [])];
    fill(this.#body, planBars(room), memberTable(room), ...lines.map((line) => el("p", {}, line)), history(room));
  }
}

/** Bars and ring as numbers: every column once, for reading and for copying. */
function memberTable(room: Room): HTMLElement {
  const columns = [say.columnPhone, say.columnUnits, say.columnKept, say.columnMemory, say.columnFetched, say.columnFromRoom, say.columnSpeed, say.columnBusy, say.columnTrip, say.columnEngine];
  const head = el("tr", {}, ...columns.map((column) => el("th", { scope: "col" }, column)));
  const rows = room.members.map((member) => row(room, member));
  const table = el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows));
  return el("div", { class: "table-frame", tabindex: 0, role: "region", "aria-label": say.phonesTitle }, table);
}

function row(room: Room, member: MemberView): HTMLElement {
  const busyMs = room.explanation?.phones.find((phone) => phone.member === member.member)?.busy_ms;
  const cells = [
    member.units.map(range).join(" "),
    keptBy(room, member.member).map(range).join(" "),
    bytes(member.assigned_bytes),
    bytes(member.fetched_bytes),
    bytes(member.from_room_bytes),
    number(member.ms_per_token),
    busyMs === undefined ? "" : (busyMs / 1000).toFixed(1),
    number(member.rtt_ms),
    member.engine === null ? "" : member.engine.toUpperCase(),
  ];
  const name = el("th", { scope: "row" }, member.name);
  return el("tr", {}, name, ...cells.map((cell) => el("td", {}, cell || "–")));
}

const range = ({ start, end }: UnitRange) => `${start}\u2060–\u2060${end}`;
const number = (value: number | null): string => (value === null ? "" : value.toFixed(1));

/** The latest first. */
function history(room: Room): HTMLElement | false {
  if (room.changes.length === 0) return false;
  const lines = room.changes.toReversed().map((change) => el("li", {}, told(room, change)));
  return el("section", { class: "history" }, el("h2", {}, say.historyTitle), el("ul", {}, ...lines));
}

function told(room: Room, { at, moves }: Change): string {
  const nameOf = (id: number) => room.nameOf(id) ?? say.somePhone(id + 1);
  const time = at.toLocaleTimeString(say.locale);
  return `${time} ${moves.map((move) => say.moved(move.units, nameOf(move.from), nameOf(move.to))).join(" ")}`;
}
