// Start: one sentence, a model, and two ways into a room.
import { Device } from "./device";
import { elsewhereCard } from "./diagnosis/elsewhere";
import { el, fill } from "./dom";
import { faultCard, faultOf } from "./errors";
import type { ModelEntry, PhoneOptions } from "./facade";
import { field, option } from "./field";
import { bytes } from "./format";
import { linkFrom } from "./link";
import { models } from "./models";
import { NameField } from "./names";
import { storageView } from "./storage";
import { say } from "./strings";

export type StartRoom = (model: ModelEntry, options: PhoneOptions) => void;

export function startView(start: StartRoom): HTMLElement {
  const name = new NameField();
  const select = el("select", { id: "model" });
  const size = el("p", { class: "muted" });
  const choice = el("div", { class: "field" }, el("p", { class: "muted", role: "status" }, say.modelsLoading));
  const begin = el("button", { class: "primary", type: "submit", disabled: true }, say.startRoom);
  let known: ModelEntry[] = [];

  const device = new Device(refresh, name.element);
  const chosen = () => known.find((model) => model.id === select.value);
  select.onchange = refresh;

  function refresh(): void {
    const model = chosen();
    begin.disabled = !device.able || !model;
    size.textContent = model ? say.modelSize(bytes(model.file_bytes)) : "";
  }

  async function list(): Promise<void> {
    try {
      known = await models();
      fill(select, ...known.map((model, index) => option(model.id, model.name, index === 0)));
      if (known.length === 0) fill(choice, el("p", {}, say.noModels));
      else fill(choice, el("label", { for: "model" }, say.model), select, size);
    } catch (thrown) {
      const again = el("button", { type: "button", onclick: () => void list() }, say.retry);
      fill(choice, faultCard(faultOf(thrown), again));
    }
    refresh();
  }

  function submit(event: Event): void {
    event.preventDefault();
    const model = chosen();
    if (model && device.able) start(model, { name: name.value, ...device.options });
  }

  void list();
  return el(
    "main",
    { class: "view narrow" },
    elsewhereCard(),
    el("h1", {}, say.promise),
    el("form", { class: "card", onsubmit: submit }, choice, begin, device.element, device.help.element),
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
