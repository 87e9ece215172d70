// A proxy that passes an answer on only once it is whole, as some do: streams never arrive.
import { createServer, request } from "node:http";

/** Listens on a free port and asks `port`. */
export async function hold(port) {
  const listener = createServer((asked, answered) => {
    const { method, url, headers } = asked;
    const up = request({ port, host: "127.0.0.1", method, path: url, headers }, (answer) => {
      const pieces = [];
      answer.on("data", (piece) => pieces.push(piece));
      answer.on("end", () => answered.writeHead(answer.statusCode, answer.headers).end(Buffer.concat(pieces)));
    });
    up.on("error", () => answered.destroy());
    answered.on("close", () => up.destroy());
    asked.pipe(up);
  });
  await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${listener.address().port}`,
    close: () => {
      listener.close();
      listener.closeAllConnections();
    },
  };
}
