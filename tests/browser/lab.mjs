// Phones of the lab (`cargo xtask lab`): browser processes behind an emulated network, and a server among them.
import { createConnection } from "node:net";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { EmulatedPhone } from "./chromium.mjs";
import { OwnServer } from "./own-server.mjs";
import { slowerBy } from "./slower.mjs";

const { LINGUALINKED_LAB: folder, LINGUALINKED_LAB_ADDRESS: address } = process.env;

export const startServer = () => OwnServer.start(0, ["--host", address]);

/** For `openRoom`: opens every phone in a place of its own, which `placeOf` names, with a processor that is slower by its factor. */
export function phonesIn(placeOf, slowdowns = []) {
  return async (url, name) => {
    const place = placeOf.size + 1;
    placeOf.set(name, place);
    // Phones trust an origin because of its certificate; this one has none.
    const phone = await EmulatedPhone.open(url, name, { executablePath: join(folder, String(place)), args: [`--unsafely-treat-insecure-origin-as-secure=${url}`] });
    const slowdown = slowdowns[place - 1] ?? 1;
    if (slowdown > 1) await phone.patchWorkers(url, { before: slowerBy(slowdown) });
    return phone;
  };
}

/** Changes the ways `from` a place `to` another; without them, all. Conditions: `delay_ms`, `jitter_ms`, `rate_mbit`, `loss_percent`. */
export async function change(conditions) {
  const orders = createConnection(join(folder, "orders"));
  try {
    orders.write(`${JSON.stringify(conditions)}\n`);
    for await (const answer of createInterface(orders)) {
      if (answer !== "done") throw new Error(answer);
      return;
    }
    throw new Error("the lab is gone");
  } finally {
    orders.destroy();
  }
}
