// What this phone can do and what its owner lets it do.
import { able, checkList } from "./diagnosis/checks";
import { Help } from "./diagnosis/help";
import { el, fill } from "./dom";
import { faultCard, loadFault } from "./errors";
import type { Capabilities, PhoneOptions } from "./facade";
import { field, option } from "./field";
import { bytes } from "./format";
import { say } from "./strings";
import { load } from "./wasm";

type Engine = NonNullable<PhoneOptions["engine"]>;

const MIB = 2 ** 20;
const BUDGETS_MIB = [256, 512, 1024, 2048, 3072];

/** Capability lines, and memory and engine to choose. */
export class Device {
  readonly element = el("section", { class: "device", "aria-label": say.thisPhone });
  /** Whether this browser can take part. */
  able = false;
  readonly help = new Help();
  #budget = el("select", { id: "budget" });
  #engine = el("select", { id: "engine" });

  /** `changed` is called when `able` is known, and when another budget is chosen; `more` settings come first. */
  constructor(readonly changed: () => void, readonly more?: HTMLElement) {
    this.#budget.onchange = changed;
    void this.#look();
  }

  get options(): Pick<PhoneOptions, "engine" | "budgetBytes"> {
    return { engine: this.#engine.value as Engine, budgetBytes: Number(this.#budget.value) };
  }

  async #look(): Promise<void> {
    fill(this.element, el("p", { class: "muted", role: "status" }, say.checking));
    try {
      const { capabilities } = await load();
      this.#show(await capabilities());
    } catch (thrown) {
      const again = el("button", { type: "button", onclick: () => void this.#look() }, say.retry);
      fill(this.element, faultCard(loadFault(thrown), again));
    }
  }

  #show(found: Capabilities): void {
    this.able = able(found);
    this.help.found(found);
    const why = !this.able && found.fault && faultCard(found.fault);
    fill(this.element, why, checkList(found), this.able && this.#settings(found));
    this.changed();
  }

  #settings(found: Capabilities): HTMLElement {
    const budgets = BUDGETS_MIB.map((mib) => mib * MIB);
    const known = found.defaultBudgetBytes;
    const choices = budgets.includes(known) ? budgets : [...budgets, known].sort((a, b) => a - b);
    fill(this.#budget, ...choices.map((budget) => option(String(budget), bytes(budget), budget === known)));
    const engines: [Engine, string][] = [["auto", say.engineAuto], ["gpu", say.engineGpu], ["cpu", say.engineCpu]];
    const usable = engines.filter(([engine]) => found.webgpu || engine !== "gpu");
    fill(this.#engine, ...usable.map(([engine, text]) => option(engine, text, engine === "auto")));
    return el(
      "details",
      { class: "details" },
      el("summary", {}, this.more ? say.settingsAndName : say.settings),
      el("div", { class: "details-body" }, this.more, field("budget", say.memory, this.#budget), field("engine", say.engine, this.#engine)),
    );
  }
}
