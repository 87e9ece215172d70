// Which model a room is started with: one of the server's, or a file of this device.
import { el, fill } from "./dom";
import { faultCard, faultOf } from "./errors";
import type { HostedModel, ModelEntry } from "./facade";
import { field, option } from "./field";
import { bytes } from "./format";
import { models } from "./models";
import { say } from "./strings";

/** Value of the choice that is a file; no model's id. */
const FILE = "file";

export class Picker {
  readonly element = el("div", { class: "model" }, el("p", { class: "muted", role: "status" }, say.modelsLoading));
  #select = el("select", { id: "model", "aria-describedby": "model-note" });
  #note = el("p", { id: "model-note", class: "muted" });
  #file = el("input", { id: "file", type: "file", accept: ".gguf", "aria-describedby": "model-note" });
  #fileField = field("file", say.modelFile, this.#file);
  #known: ModelEntry[] = [];

  /** `changed` is called whenever another model, or none, is chosen. */
  constructor(readonly changed: () => void) {
    this.#select.onchange = this.#file.onchange = () => this.#refresh();
    void this.#list();
  }

  get chosen(): HostedModel | undefined {
    if (this.#select.value === FILE) return this.#file.files?.[0];
    const model = this.#entry;
    return model && { id: model.id, file: model.file, manifest: model.manifest };
  }

  get #entry(): ModelEntry | undefined {
    return this.#known.find(({ id }) => id === this.#select.value);
  }

  async #list(): Promise<void> {
    let problem: HTMLElement | undefined;
    try {
      this.#known = await models();
    } catch (thrown) {
      problem = faultCard(faultOf(thrown), el("button", { type: "button", onclick: () => void this.#list() }, say.retry));
    }
    const entries = this.#known.map(({ id, name }, index) => option(id, name, index === 0));
    fill(this.#select, ...entries, option(FILE, say.modelOfDevice, this.#known.length === 0));
    fill(this.element, problem, field("model", say.model, this.#select), this.#fileField, this.#note);
    this.#refresh();
  }

  #refresh(): void {
    const model = this.#entry;
    this.#fileField.hidden = model !== undefined;
    this.#note.textContent = model ? say.modelSize(bytes(model.file_bytes)) : say.modelFileNote;
    this.changed();
  }
}
