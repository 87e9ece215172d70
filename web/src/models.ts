// Models of this page's server, those on other sites that it knows, and what this browser keeps of its own.
import type { CatalogueEntry, Fault, ModelEntry } from "./facade.js";
import { load } from "./wasm.js";

/** What the page needs of a model's manifest. */
interface Manifest {
  chunks: { bytes: number; sha256: string }[];
}

/** Bytes kept in this browser, and how to be rid of them. */
export interface Stored {
  /** `undefined`: chunks of no model of this server. */
  model: ModelEntry | undefined;
  bytes: number;
  remove(): Promise<void>;
}

export async function models(): Promise<ModelEntry[]> {
  return (await json("/api/models")) as ModelEntry[];
}

let known: Promise<CatalogueEntry[]> | undefined;

/** Models on other sites, asked for once. */
export function catalogue(): Promise<CatalogueEntry[]> {
  known ??= (json("/api/catalogue") as Promise<CatalogueEntry[]>).catch((thrown: unknown) => {
    known = undefined;
    throw thrown;
  });
  return known;
}

/** Sites that this page's server allows rooms to have their model from. */
export async function modelOrigins(): Promise<string[]> {
  return (await catalogue()).map(({ address }) => new URL(address).origin);
}

/** What is kept of each of `known`, and of others; what nothing is kept of is not listed. */
export async function stored(known: ModelEntry[]): Promise<Stored[]> {
  const folder = await chunkFolder();
  if (!folder) return [];
  const kept = new Map<string, FileSystemFileHandle>();
  for await (const [name, handle] of folder.entries()) if (handle.kind === "file") kept.set(name, handle as FileSystemFileHandle);
  const remove = (names: string[]) => async () => {
    for (const name of names) await folder.removeEntry(name);
  };
  const found: Stored[] = [];
  for (const model of known) {
    const { chunks } = (await json(model.manifest)) as Manifest;
    const mine = chunks.filter(({ sha256 }) => kept.delete(sha256));
    if (mine.length > 0) found.push({ model, bytes: mine.reduce((sum, { bytes }) => sum + bytes, 0), remove: remove(mine.map(({ sha256 }) => sha256)) });
  }
  const sizes = await Promise.all([...kept.values()].map(async (file) => (await file.getFile()).size));
  if (kept.size > 0) found.push({ model: undefined, bytes: sizes.reduce((sum, bytes) => sum + bytes, 0), remove: remove([...kept.keys()]) });
  return found;
}

/** Where the Rust module keeps chunks; nothing before it kept any, or where the browser keeps no files. */
async function chunkFolder(): Promise<FileSystemDirectoryHandle | undefined> {
  const { chunkFolders } = await load();
  try {
    let folder = await navigator.storage.getDirectory();
    for (const name of chunkFolders()) folder = await folder.getDirectoryHandle(name);
    return folder;
  } catch {
    return undefined;
  }
}

async function json(address: string): Promise<unknown> {
  const unreachable: Fault = {
    code: "server.unreachable",
    message: `the server did not answer (${address})`,
    remedy: "Check that this device is on the network and that the server is running, then try again.",
  };
  const answer = await fetch(address).catch(() => Promise.reject(unreachable));
  if (!answer.ok) throw unreachable;
  return answer.json();
}
