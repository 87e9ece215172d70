// What this phone keeps of models, and a way to delete it.
import { el, fill } from "./dom";
import { faultCard, faultOf } from "./errors";
import { bytes } from "./format";
import { models, stored, type Stored } from "./models";
import { say } from "./strings";

/** Looks when it is opened. */
export function storageView(): HTMLElement {
  const body = el("div", { class: "details-body" });
  const details = el("details", { class: "details" }, el("summary", {}, say.storage), body);

  async function look(): Promise<void> {
    try {
      const found = await stored(await models());
      const lines = found.map((entry) => line(entry, () => void remove(entry)));
      fill(body, ...(found.length === 0 ? [el("p", { role: "status" }, say.storageEmpty)] : [el("ul", { class: "stored" }, ...lines), el("p", {}, say.storageNote)]));
    } catch (thrown) {
      fill(body, faultCard(faultOf(thrown)));
    }
  }

  async function remove(entry: Stored): Promise<void> {
    try {
      await entry.remove();
      await look();
    } catch (thrown) {
      fill(body, faultCard(faultOf(thrown)));
    }
  }

  details.ontoggle = () => details.open && void look();
  return details;
}

function line({ model, bytes: kept }: Stored, remove: () => void): HTMLElement {
  const name = model?.name ?? say.storageOther;
  const size = model ? say.storageOf(bytes(kept), bytes(model.file_bytes)) : bytes(kept);
  const button = el("button", { type: "button", onclick: remove, "aria-label": say.removeModel(name) }, say.remove);
  return el("li", {}, el("span", {}, name, " ", el("span", { class: "muted" }, size)), button);
}
