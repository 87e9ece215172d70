// What changed hands between two plans.
import type { Plan } from "../facade";

/** Units that went from one member to another. */
export interface Move {
  from: number;
  to: number;
  units: number;
}

/** A change of plan in a room's history. */
export interface Change {
  at: Date;
  moves: Move[];
}

/** From whom to whom, in the order of the members. */
export function movesBetween(before: Plan, after: Plan): Move[] {
  const moves: Move[] = [];
  const old = ownersOf(before);
  for (const [unit, to] of ownersOf(after)) {
    const from = old.get(unit);
    if (from === undefined || from === to) continue;
    const known = moves.find((move) => move.from === from && move.to === to);
    if (known) known.units += 1;
    else moves.push({ from, to, units: 1 });
  }
  return moves.sort((a, b) => a.from - b.from || a.to - b.to);
}

function ownersOf(plan: Plan): Map<number, number> {
  const owners = new Map<number, number>();
  for (const { member, units } of plan.stages) for (let unit = units.start; unit < units.end; unit += 1) owners.set(unit, member);
  return owners;
}
