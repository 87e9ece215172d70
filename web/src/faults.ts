// Faults as values, without words or a page.
import type { Fault } from "./facade.js";

/** Things a person should know that stop nothing; a stranger at the door among them. */
const NOTICES = new Set(["browser.no_webgpu", "browser.no_storage", "engine.self_test", "page.hidden", "page.screen", "weights.false"]);

export function isNotice(fault: Fault): boolean {
  return NOTICES.has(fault.code) || fault.code.startsWith("door.");
}

export function isFault(value: unknown): value is Fault {
  return typeof value === "object" && value !== null && "code" in value && "message" in value && "remedy" in value;
}

/** Whatever was thrown, as a fault. */
export function asFault(thrown: unknown): Fault {
  if (isFault(thrown)) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: "page.unexpected", message, remedy: "Reload the page; if it happens again, report it with this message." };
}
