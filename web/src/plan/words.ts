// Why the plan is as it is, in sentences.
import type { Alone, Explanation, PhoneRole, Plan } from "../facade";
import { bytes, short } from "../format";
import type { Room } from "../room";
import { say } from "../strings";

/** Differences below are noise to a person, ms per token. */
const NOTICEABLE_MS = 0.1;

/** How fast it should be, how fast it was, and how much better it could be. */
export function forecast(room: Room, plan: Plan): string[] {
  const { predicted_ms_per_token: predicted, class: numeric } = plan;
  const measured = room.turns.findLast((turn) => turn.tokPerS > 0);
  const wire = numeric.wire === "F32" ? "f32" : "f16";
  return [
    say.predicted(predicted.toFixed(1), (1000 / predicted).toFixed(1)),
    ...(measured ? [say.measured((1000 / measured.tokPerS).toFixed(1))] : []),
    say.bound(plan.lower_bound_ms_per_token.toFixed(1)),
    say.gap(short(100 * gapOf(plan))),
    say.numericClass(wire, String(numeric.context_columns)),
    ...(plan.bytes_per_token > 0 ? [say.travels(bytes(plan.bytes_per_token))] : []),
  ];
}

/** Share by which a better plan could be better, at most. */
function gapOf({ objective_ms, lower_bound_objective_ms }: Plan): number {
  return objective_ms > 0 ? Math.max(0, 1 - lower_bound_objective_ms / objective_ms) : 0;
}

/** What each phone is good for, and what the host would do alone. */
export function explained(room: Room, { phones, alone }: Explanation): string[] {
  const sentences = phones.flatMap((phone) => {
    const name = room.nameOf(phone.member);
    return name === undefined ? [] : [roleOf(name, phone), moreMemory(name, phone)];
  });
  return [...sentences, aloneOf(room.host?.name ?? say.hostFallback, alone)].filter((sentence) => sentence !== "");
}

function roleOf(name: string, { role }: PhoneRole): string {
  switch (role.kind) {
    case "host":
      return "";
    case "needed":
      return say.phoneNeeded(name);
    case "saves":
      return say.phoneSaves(name, short(role.ms));
    case "would_slow":
      return say.phoneWouldSlow(name, short(role.ms));
    case "spared":
      return say.phoneSpared(name);
    case "hidden":
      return say.phoneHidden(name);
    case "too_small":
      return say.phoneTooSmall(name);
  }
}

function moreMemory(name: string, { more_memory_saves_ms: ms }: PhoneRole): string {
  return ms >= NOTICEABLE_MS ? say.moreMemory(name, short(ms)) : "";
}

function aloneOf(host: string, alone: Alone): string {
  switch (alone.kind) {
    case "is_the_plan":
      return typeof alone.saves_ms === "number" ? say.aloneIsFaster(host, short(alone.saves_ms)) : "";
    case "slower":
      return say.aloneIsSlower(host, short(alone.ms));
    case "does_not_fit":
      return say.aloneDoesNotFit(host, bytes(alone.short_bytes));
  }
}
