// What this phone can do, a line each; what is missing comes with what to do about it.
import { el, svg } from "../dom";
import type { Capabilities } from "../facade";
import { say } from "../strings";

/** `limited`: it takes part, less well. `missing`: it cannot take part. */
type State = "good" | "limited" | "missing";

interface Check {
  state: State;
  text: string;
  remedy?: string;
}

export function checkList(found: Capabilities): HTMLElement {
  return el("ul", { class: "checks" }, ...checks(found).map(line));
}

/** Whether this browser can take part. */
export function able(found: Capabilities): boolean {
  return checks(found).every(({ state }) => state !== "missing");
}

function checks(found: Capabilities): Check[] {
  return [...(found.secureContext ? [] : [insecure()]), connects(found), computes(found), keeps(found)];
}

function insecure(): Check {
  return { state: "missing", text: say.insecure, remedy: say.insecureRemedy };
}

function connects({ dataChannels }: Capabilities): Check {
  if (dataChannels) return { state: "good", text: say.connects };
  return { state: "missing", text: say.connectsNot, remedy: say.connectsRemedy };
}

function computes({ webgpu, fallbackAdapter, adapter, cpu }: Capabilities): Check {
  if (!webgpu) return { state: "limited", text: say.computesCpu(cpu), remedy: say.computesRemedy };
  if (fallbackAdapter) return { state: "limited", text: say.computesSoftware };
  return { state: "good", text: say.computesGpu(adapter ?? "") };
}

function keeps({ opfs }: Capabilities): Check {
  return opfs ? { state: "good", text: say.keeps } : { state: "limited", text: say.keepsNot, remedy: say.keepsRemedy };
}

function line({ state, text, remedy }: Check): HTMLElement {
  return el("li", { class: `check ${state}` }, mark(state), el("span", {}, text, remedy !== undefined && el("span", { class: "remedy" }, ` ${remedy}`)));
}

const MARKS: Readonly<Record<State, string>> = {
  good: "M3 8.5l3.5 3.5L13 4.5",
  limited: "M8 3v6M8 12v1",
  missing: "M4 4l8 8M12 4l-8 8",
};

function mark(state: State): SVGElement {
  const labels = { good: say.checkGood, limited: say.checkLimited, missing: say.checkMissing };
  return svg("svg", { class: "mark", viewBox: "0 0 16 16", role: "img", "aria-label": labels[state] }, svg("path", { d: MARKS[state] }));
}
