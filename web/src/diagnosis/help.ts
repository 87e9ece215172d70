// When phones do not find each other: what to look at, a test of this phone, and a report without chat, link or secret.
import { copyButton } from "../invite";
import { el, fill, write } from "../dom";
import type { Capabilities, Fault } from "../facade";
import { say } from "../strings";
import { inAppBrowser } from "./in-app";
import { reach, type Reach } from "./reach";

/** Faults that lie between two phones. */
const BETWEEN_PHONES = new Set(["rtc.failed", "room.no_answer", "host.lost"]);

export class Help {
  readonly element: HTMLDetailsElement;
  #result = el("p", { role: "status" });
  #test: HTMLButtonElement;
  #report: Report = { userAgent: navigator.userAgent, languages: navigator.languages, faults: [] };

  constructor() {
    this.#test = el("button", { type: "button", onclick: () => void this.#run() }, say.testConnection);
    const report = copyButton(() => JSON.stringify(this.#report, null, 2), undefined, say.copyReport);
    this.element = el(
      "details",
      { class: "details" },
      el("summary", {}, say.helpTitle),
      el(
        "div",
        { class: "details-body" },
        this.#result,
        el("ul", { class: "help" }, ...say.help.map((text) => el("li", {}, text))),
        el("div", { class: "actions" }, this.#test, report),
        el("p", {}, say.reportNote),
      ),
    );
  }

  /** Put into the report. */
  found(capabilities: Capabilities): void {
    this.#report.capabilities = capabilities;
    this.#report.inApp = inAppBrowser(navigator.userAgent, "")?.name;
  }

  /** A failed attempt to join: opens where it may help. */
  failed(fault: Fault): void {
    this.#report.faults.push({ code: fault.code, message: fault.message });
    if (!BETWEEN_PHONES.has(fault.code)) return;
    this.element.open = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    this.#test.disabled = true;
    write(this.#result, say.testing);
    const reached = await reach();
    this.#report.reach = reached;
    fill(this.#result, el("strong", {}, sentences[reached]()));
    this.#test.disabled = false;
  }
}

const sentences: Readonly<Record<Reach, () => string>> = {
  itself: () => say.reachItself,
  no_address: () => say.reachNoAddress,
  blocked: () => say.reachBlocked,
};

interface Report {
  userAgent: string;
  languages: readonly string[];
  capabilities?: Capabilities;
  inApp?: string | undefined;
  reach?: Reach;
  faults: { code: string; message: string }[];
}
