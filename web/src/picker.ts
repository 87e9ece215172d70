// Which model a room is started with: one of the server's, one on another site, or a file of this device.
import { el, fill, write } from "./dom";
import { faultCard, faultOf } from "./errors";
import type { CatalogueEntry, HostedModel, ModelEntry } from "./facade";
import { field, option } from "./field";
import { bytes } from "./format";
import { catalogue, models } from "./models";
import { say } from "./strings";

/** Value of the choice that is a file; no model's id and no address. */
const FILE = "file";

interface Choice {
  value: string;
  name: string;
  model: HostedModel;
  bytes: number;
  note: string;
}

export class Picker {
  readonly element = el("div", { class: "model" }, el("p", { class: "muted", role: "status" }, say.modelsLoading));
  #select = el("select", { id: "model", "aria-describedby": "model-note model-fit" });
  #note = el("p", { id: "model-note", class: "muted" });
  #fit = el("p", { id: "model-fit", role: "status" });
  #file = el("input", { id: "file", type: "file", accept: ".gguf", "aria-describedby": "model-note model-fit" });
  #fileField = field("file", say.modelFile, this.#file);
  #choices = new Map<string, Choice>();

  /** `changed` is called whenever another model, or none, is chosen. */
  constructor(readonly changed: () => void) {
    this.#select.onchange = this.#file.onchange = () => this.#refresh();
    void this.#list();
  }

  get chosen(): HostedModel | undefined {
    return this.#isFile ? this.#file.files?.[0] : this.#choices.get(this.#select.value)?.model;
  }

  /** Tells how many phones the chosen model takes if each offers so many bytes; nothing while that is unknown. */
  fit(budgetBytes: number | undefined): void {
    const size = this.#isFile ? this.#file.files?.[0]?.size : this.#choices.get(this.#select.value)?.bytes;
    const known = size !== undefined && budgetBytes !== undefined;
    // Cache and scratch come on top of the weights: it may take more.
    write(this.#fit, known ? say.modelFits(Math.ceil(size / budgetBytes), bytes(budgetBytes)) : "");
  }

  get #isFile(): boolean {
    return this.#select.value === FILE;
  }

  async #list(): Promise<void> {
    let here: Choice[] = [];
    let elsewhere: Choice[] = [];
    let problem: HTMLElement | undefined;
    try {
      here = (await models()).map(ofServer);
      elsewhere = (await catalogue()).map(ofOtherSite);
    } catch (thrown) {
      problem = faultCard(faultOf(thrown), el("button", { type: "button", onclick: () => void this.#list() }, say.retry));
    }
    this.#choices = new Map([...here, ...elsewhere].map((choice) => [choice.value, choice]));
    const others = elsewhere.length > 0 && el("optgroup", { label: say.modelsElsewhere }, ...elsewhere.map(asOption));
    fill(this.#select, ...here.map(asOption), option(FILE, say.modelOfDevice, false), others);
    fill(this.element, problem, field("model", say.model, this.#select), this.#fileField, this.#fit, this.#note);
    this.#refresh();
  }

  #refresh(): void {
    this.#fileField.hidden = !this.#isFile;
    this.#note.textContent = this.#choices.get(this.#select.value)?.note ?? say.modelFileNote;
    this.changed();
  }
}

function ofServer({ id, name, file, manifest, file_bytes }: ModelEntry): Choice {
  return { value: id, name, model: { id, file, manifest }, bytes: file_bytes, note: say.modelSize(bytes(file_bytes)) };
}

function ofOtherSite({ name, address, sha256, file_bytes, licence }: CatalogueEntry): Choice {
  const note = say.modelElsewhere(bytes(file_bytes), new URL(address).host, licence);
  return { value: address, name, model: { address, ...(sha256 && { sha256 }) }, bytes: file_bytes, note };
}

function asOption({ value, name }: Choice): HTMLOptionElement {
  return option(value, name, false);
}
