// What the host's page keeps over a reload besides the room, which the Rust module keeps: in the same place, for this tab alone.
import type { Room, Turn } from "./room";

const KEY = "lingualinked.page";

/** The chat, and what the page was started with. */
export interface Kept {
  myName: string;
  turns: Turn[];
  draft: string;
  /** Whether a plan was made, and will be again. */
  planned: boolean;
}

/** Keeps a host's room as it is when the page goes away, until the returned function is called. */
export function keepOnReload(room: Room): () => void {
  if (room.role !== "host") return () => undefined;
  const keep = () => sessionStorage.setItem(KEY, JSON.stringify(stateOf(room)));
  addEventListener("pagehide", keep);
  return () => {
    removeEventListener("pagehide", keep);
    sessionStorage.removeItem(KEY);
  };
}

function stateOf({ myName, turns, draft, plan }: Room): Kept {
  return { myName, turns, draft, planned: plan !== undefined };
}

/** What this page kept, once. */
export function keptPage(): Kept | undefined {
  const json = sessionStorage.getItem(KEY);
  sessionStorage.removeItem(KEY);
  return json === null ? undefined : (JSON.parse(json) as Kept);
}
