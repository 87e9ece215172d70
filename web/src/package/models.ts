// Models of this page's server, and what this browser keeps of them.
import type { ModelEntry } from "../facade.js";
import { models as known, stored } from "../models.js";
import { errorOf } from "./error.js";

export interface Model extends ModelEntry {
  /** Bytes of it in this browser's storage. */
  storedBytes: number;
}

async function list(): Promise<Model[]> {
  const all = await known();
  const kept = await stored(all);
  return all.map((entry) => ({ ...entry, storedBytes: kept.find(({ model }) => model?.id === entry.id)?.bytes ?? 0 }));
}

/** Whether this browser keeps any part of a model. */
async function has(id: string): Promise<boolean> {
  return (await list()).some((model) => model.id === id && model.storedBytes > 0);
}

/** Deletes what this browser keeps of a model; it is downloaded again when it is needed. */
async function remove(id: string): Promise<void> {
  const kept = await stored(await known());
  await kept.find(({ model }) => model?.id === id)?.remove();
}

function typed<A extends unknown[], T>(call: (...given: A) => Promise<T>): (...given: A) => Promise<T> {
  return (...given) => call(...given).catch((thrown: unknown) => Promise.reject(errorOf(thrown)));
}

export const models = { list: typed(list), has: typed(has), delete: typed(remove) };
