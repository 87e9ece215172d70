// Start: one sentence, a model, and two ways into a room.
import { Device } from "./device";
import { elsewhereCard } from "./diagnosis/elsewhere";
import { el } from "./dom";
import type { HostedModel, PhoneOptions } from "./facade";
import { field } from "./field";
import { linkFrom } from "./link";
import { NameField } from "./names";
import { Picker } from "./picker";
import { storageView } from "./storage";
import { say } from "./strings";

export type StartRoom = (model: HostedModel, options: PhoneOptions) => void;

export function startView(start: StartRoom): HTMLElement {
  const name = new NameField();
  const begin = el("button", { class: "primary", type: "submit", disabled: true }, say.startRoom);
  const picker = new Picker(refresh);
  const device = new Device(refresh, name.element);

  function refresh(): void {
    begin.disabled = !device.able || !picker.chosen;
    picker.fit(device.able ? device.options.budgetBytes : undefined);
  }

  function submit(event: Event): void {
    event.preventDefault();
    const model = picker.chosen;
    if (model && device.able) start(model, { name: name.value, ...device.options });
  }

  return el(
    "main",
    { class: "view narrow" },
    elsewhereCard(),
    el("h1", {}, say.promise),
    el("form", { class: "card", onsubmit: submit }, picker.element, begin, device.element, device.help.element),
    el("p", { class: "or", "aria-hidden": "true" }, say.or),
    joinForm(),
    storageView(),
  );
}

function joinForm(): HTMLElement {
  const link = el("input", {
    id: "link", type: "text", inputmode: "url", autocomplete: "off", autocapitalize: "none", spellcheck: "false",
    placeholder: say.linkHint, "aria-describedby": "link-problem",
  });
  const problem = el("p", { id: "link-problem", class: "problem", role: "alert" });
  const submit = (event: Event) => {
    event.preventDefault();
    const target = linkFrom(link.value);
    if (target) location.href = target;
    else problem.textContent = say.notALink;
  };
  return el(
    "form",
    { class: "card", onsubmit: submit, novalidate: true },
    el("h2", {}, say.joinByLink),
    field("link", say.linkLabel, el("div", { class: "beside" }, link, el("button", { type: "submit" }, say.openLink))),
    problem,
  );
}
