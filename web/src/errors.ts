// Faults: what happened, what to do, and the code in small print.
import { el, type Attributes, type Child } from "./dom";
import { koreanFaults } from "./errors-ko";
import type { Fault } from "./facade";
import { isFault } from "./faults";
import { say } from "./strings";

/** The smallest module with a vector instruction: `() => i8x16.splat(0)`. */
const SIMD = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11);

/** Whatever was thrown, as a fault. */
export function faultOf(thrown: unknown): Fault {
  if (isFault(thrown)) return thrown;
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: "page.unexpected", message: `${say.unexpected} (${detail})`, remedy: say.unexpectedRemedy };
}

/** The program did not load. */
export function loadFault(thrown: unknown): Fault {
  if (!WebAssembly.validate(SIMD)) return { code: "page.too_old", message: say.tooOld, remedy: say.tooOldRemedy };
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: "page.load", message: `${say.newVersionNeeded} (${detail})`, remedy: say.newVersionRemedy };
}

/** A card about a fault that stops something; `actions` are buttons under it. */
export function faultCard(fault: Fault, ...actions: Child[]): HTMLElement {
  return card({ class: "fault", role: "alert" }, fault, actions);
}

/** A card about something that stops nothing. */
export function noticeCard(fault: Fault, ...actions: Child[]): HTMLElement {
  return card({ class: "fault notice", role: "status" }, fault, actions);
}

function card(attributes: Attributes, fault: Fault, actions: Child[]): HTMLElement {
  const [message, remedy] = words(fault);
  return el(
    "div",
    attributes,
    el("p", { class: "fault-message" }, sentence(message)),
    el("p", {}, sentence(remedy)),
    el("p", { class: "fault-code" }, fault.code),
    actions.length > 0 && el("div", { class: "actions" }, ...actions),
  );
}

function words(fault: Fault): readonly [string, string] {
  const translated = say.locale === "ko" ? koreanFaults[fault.code] : undefined;
  return translated ?? [fault.message, fault.remedy];
}

/** Messages come without a capital and a full stop, for logs. */
function sentence(text: string): string {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…)]$/.test(capital) ? capital : `${capital}.`;
}
