// The room as a ring: an arc per run of units, as long as its share of the model; before there is a plan, memory offered of memory needed.
import { el, fill, svg } from "./dom";
import type { UnitRange } from "./facade";
import { bytes } from "./format";
import { colourClass, numberOf } from "./palette";
import type { Room } from "./room";
import { say } from "./strings";

interface Arc {
  member: number;
  /** 0..1 of the circle, clockwise from the top. */
  from: number;
  to: number;
}

const RADIUS = 40;
/** Of the circle, between arcs. */
const GAP = 0.008;

export class Ring {
  readonly element = el("div", { class: "ring" });
  #drawn = "";

  update(room: Room): void {
    const arcs = room.plan ? planned(room) : offered(room);
    const label = room.plan ? planLabel(room) : memoryLabel(room);
    const centre = room.members.length > 0 ? say.onPhones(room.members.length) : "";
    const drawing = JSON.stringify([arcs, label, centre]);
    if (drawing !== this.#drawn) {
      this.#drawn = drawing;
      fill(this.element, picture(arcs, label), el("span", { class: "ring-centre", "aria-hidden": "true" }, centre));
    }
    this.element.classList.toggle("busy", room.phase === "answering" || room.phase === "loading");
  }
}

function picture(arcs: Arc[], label: string): SVGElement {
  const track = svg("circle", { class: "ring-track", cx: 50, cy: 50, r: RADIUS });
  return svg("svg", { viewBox: "0 0 100 100", role: "img", "aria-label": label }, track, ...arcs.flatMap(drawArc));
}

function drawArc(arc: Arc): SVGElement[] {
  const gap = Math.min(GAP, (arc.to - arc.from) / 4);
  const [from, to] = [arc.from + gap / 2, arc.to - gap / 2];
  const [x1, y1] = point(from, RADIUS);
  const [x2, y2] = point(to, RADIUS);
  const large = to - from > 0.5 ? 1 : 0;
  const path = svg("path", {
    class: `ring-arc ${colourClass(arc.member)}`,
    d: `M ${x1} ${y1} A ${RADIUS} ${RADIUS} 0 ${large} 1 ${x2} ${y2}`,
  });
  if (arc.to - arc.from < 0.05) return [path];
  const [x, y] = point((arc.from + arc.to) / 2, RADIUS);
  const number = svg("text", { class: `ring-number ${colourClass(arc.member)}`, x, y }, numberOf(arc.member));
  return [path, number];
}

function point(turn: number, radius: number): [string, string] {
  const angle = 2 * Math.PI * (turn - 0.25);
  return [(50 + radius * Math.cos(angle)).toFixed(2), (50 + radius * Math.sin(angle)).toFixed(2)];
}

/** Units in ring order; the host's last run joins its first at the top. */
function planned(room: Room): Arc[] {
  const units = allUnits(room);
  return (room.plan?.stages ?? []).map(({ member, units: { start, end } }) => ({ member, from: start / units, to: end / units }));
}

function offered(room: Room): Arc[] {
  if (!room.capacity) return [];
  const sum = room.members.reduce((total, member) => total + member.budget_bytes, 0);
  const whole = Math.max(sum, room.capacity.neededBytes, 1);
  let reached = 0;
  return room.members.map((member) => {
    const from = reached;
    reached += member.budget_bytes / whole;
    return { member: member.member, from, to: reached };
  });
}

function planLabel(room: Room): string {
  const parts = room.members.map((member) => `${member.name} ${say.holds(unitsOf(room, member.member), allUnits(room))}`);
  return say.ringLabel(parts.join(", "));
}

function memoryLabel(room: Room): string {
  const { capacity } = room;
  return capacity ? say.ringShort(bytes(capacity.offeredBytes), bytes(capacity.neededBytes)) : say.ringEmpty;
}

/** Units that a member runs. */
export function unitsOf(room: Room, member: number): number {
  const mine = room.plan?.stages.filter((stage) => stage.member === member) ?? [];
  return mine.reduce((sum, stage) => sum + stage.units.end - stage.units.start, 0);
}

/** Units that a member keeps, those it runs among them. */
export function keptBy(room: Room, member: number): UnitRange[] {
  const kept = room.plan?.held.filter((held) => held.member === member) ?? [];
  return kept.map((held) => held.units);
}

/** Units of the model; the last stage ends with the last. */
export function allUnits(room: Room): number {
  return room.plan?.stages.at(-1)?.units.end ?? 0;
}
