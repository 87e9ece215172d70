// Controls with labels.
import { el, type Child } from "./dom";

/** A label and what it is for. */
export function field(id: string, label: string, ...control: Child[]): HTMLElement {
  return el("div", { class: "field" }, el("label", { for: id }, label), ...control);
}

export function option(value: string, text: string, selected: boolean): HTMLOptionElement {
  return el("option", { value, selected }, text);
}
