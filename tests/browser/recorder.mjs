// Everything that goes to a server and comes from it, on its way.
import { connect, createServer } from "node:net";

/** Listens on a free port and passes bytes on to `port`; keeps all of them. */
export async function record(port) {
  const up = [];
  const down = [];
  const sockets = new Set();
  const listener = createServer((client) => {
    const server = connect(port, "127.0.0.1");
    for (const [from, to, kept] of [[client, server, up], [server, client, down]]) {
      sockets.add(from);
      from.on("data", (bytes) => kept.push(bytes));
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
    }
  });
  await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${listener.address().port}`,
    up: () => Buffer.concat(up).toString("latin1"),
    down: () => Buffer.concat(down).toString("latin1"),
    close: () => {
      for (const socket of sockets) socket.destroy();
      listener.close();
    },
  };
}
