// Join: what this phone can do, its name, and who can read the chat.
import { Device } from "./device";
import { elsewhereCard } from "./diagnosis/elsewhere";
import { el, fill } from "./dom";
import { faultCard } from "./errors";
import type { Fault, PhoneOptions } from "./facade";
import { NameField } from "./names";
import { say } from "./strings";

/** `join` resolves with why it failed, or with nothing once the page shows the room. */
export function joinView(join: (options: PhoneOptions) => Promise<Fault | undefined>, away: () => void): HTMLElement {
  const name = new NameField();
  const button = el("button", { class: "primary", type: "submit", disabled: true }, say.join);
  const status = el("p", { class: "muted", role: "status" });
  const problem = el("div");
  const device = new Device(() => (button.disabled = !device.able));

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    status.textContent = say.joining;
    fill(problem);
    const fault = await join({ name: name.value, ...device.options });
    if (!fault) return;
    button.disabled = false;
    status.textContent = "";
    fill(problem, faultCard(fault));
    device.help.failed(fault);
  }

  return el(
    "main",
    { class: "view narrow" },
    elsewhereCard(),
    el("h1", {}, say.joinTitle),
    el(
      "form",
      { class: "card", onsubmit: (event) => void submit(event) },
      device.element,
      name.element,
      el("p", { class: "consent" }, say.consent),
      problem,
      status,
      el("div", { class: "actions" }, button, el("button", { class: "quiet", type: "button", onclick: away }, say.notNow)),
      device.help.element,
    ),
  );
}
