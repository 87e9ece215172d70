// Keeps the screen on and notices when this page was not in front: a page that is not shown computes slowly or not at all.
import type { Fault } from "./facade";
import { say } from "./strings";

/** Shorter absences are not worth a word, ms. */
const NOTABLE_MS = 3000;

/** Until the returned function is called; `tell` hears what a person should know. */
export function stayAwake(tell: (notice: Fault) => void): () => void {
  let lock: WakeLockSentinel | undefined;
  let hiddenAt: number | undefined;
  let over = false;
  const title = document.title;

  const take = async () => {
    try {
      if (!("wakeLock" in navigator)) throw new Error("no wake lock");
      lock = await navigator.wakeLock.request("screen");
      if (over) void lock.release();
    } catch {
      // Refused while hidden is no news.
      if (!over && document.visibilityState === "visible") tell({ code: "page.screen", message: say.screen, remedy: say.screenRemedy });
    }
  };
  const look = () => {
    const hidden = document.visibilityState === "hidden";
    document.title = hidden ? say.hiddenTitle : title;
    if (hidden) {
      hiddenAt = performance.now();
      return;
    }
    void take();
    const away_ms = performance.now() - (hiddenAt ?? performance.now());
    if (away_ms > NOTABLE_MS) tell({ code: "page.hidden", message: say.hidden(Math.round(away_ms / 1000)), remedy: say.hiddenRemedy });
  };
  document.addEventListener("visibilitychange", look);
  void take();
  return () => {
    over = true;
    document.title = title;
    document.removeEventListener("visibilitychange", look);
    void lock?.release();
  };
}
