// The plan as a bar per phone: which units it runs, which more it keeps (hatched), and how full its memory is. The table beside it has the numbers.
import { el, svg, type Attributes } from "../dom";
import type { MemberView, UnitRange } from "../facade";
import { bytes, short } from "../format";
import { badge, colourClass } from "../palette";
import { allUnits, keptBy } from "../ring";
import type { Room } from "../room";
import { say } from "../strings";

export function planBars(room: Room): HTMLElement {
  const units = allUnits(room);
  const rows = room.members.map((member) => row(room, member, units));
  return el("figure", { class: "bars", role: "img", "aria-label": say.barsLabel }, ...rows);
}

function row(room: Room, member: MemberView, units: number): HTMLElement {
  const text = el("div", { class: "bar-text" }, el("span", {}, caption(member)), unitBar(room, member, units), memoryBar(member));
  return el("div", { class: "bar-row" }, badge(member.member), text);
}

function unitBar(room: Room, { member, units: run }: MemberView, units: number): SVGElement {
  const kept = keptBy(room, member);
  const hatch = `kept-${member}`;
  const stripes = svg("pattern", { id: hatch, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, svg("rect", { class: "bar-run", width: 2, height: 6 }));
  return bar("bar", member, stripes, ...kept.map((range) => span(range, units, { fill: `url(#${hatch})` })), ...run.map((range) => span(range, units, { class: "bar-run" })));
}

function memoryBar({ member, assigned_bytes, budget_bytes }: MemberView): SVGElement {
  const used = { start: 0, end: Math.min(assigned_bytes, budget_bytes) };
  return bar("bar thin", member, span(used, Math.max(budget_bytes, 1), { class: "bar-run" }));
}

function bar(name: string, member: number, ...children: SVGElement[]): SVGElement {
  return svg("svg", { class: `${name} ${colourClass(member)}`, "aria-hidden": "true" }, ...children);
}

/** A part of a bar that stands for `whole`. */
function span({ start, end }: UnitRange, whole: number, look: Attributes): SVGElement {
  const percent = (part: number) => `${((100 * part) / whole).toFixed(2)}%`;
  return svg("rect", { x: percent(start), width: percent(end - start), height: "100%", ...look });
}

function caption({ name, assigned_bytes, budget_bytes, ms_per_token }: MemberView): string {
  const time = ms_per_token === null ? [] : [say.perToken(short(ms_per_token))];
  return [name, say.ofMemory(bytes(assigned_bytes), bytes(budget_bytes)), ...time].join(" · ");
}
