// The models of this page's server.
import type { ModelEntry } from "./facade";

export async function models(): Promise<ModelEntry[]> {
  const unreachable = { code: "server.unreachable", message: "the server did not answer (/api/models)", remedy: "Check that this device is on the network and that the server is running, then try again." };
  const answer = await fetch("/api/models").catch(() => Promise.reject(unreachable));
  if (!answer.ok) throw unreachable;
  return (await answer.json()) as ModelEntry[];
}
