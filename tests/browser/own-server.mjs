// A server that a test starts, kills and starts again, and what it says.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export class OwnServer {
  /** On the port, or a free one, with the model and page that `cargo xtask e2e` names. */
  static async start(port = 0, more = []) {
    const { LINGUALINKED_SERVER: program, LINGUALINKED_MODEL: model, LINGUALINKED_WEB: web } = process.env;
    const child = spawn(program, ["--model", model, "--web", web, "--port", String(port), ...more], { stdio: ["ignore", "pipe", "pipe"] });
    const server = new OwnServer(child);
    for await (const line of createInterface(child.stdout)) {
      const [, address] = line.match(/^listening on (http:.*)$/) ?? [];
      if (address) server.url = address;
      if (line === "ready") return server;
    }
    throw new Error(`the server did not start: ${server.log}`);
  }

  constructor(child) {
    this.child = child;
    this.log = "";
    child.stderr.on("data", (text) => (this.log += text));
    this.ended = new Promise((resolve) => child.once("exit", resolve));
  }

  get port() {
    return Number(new URL(this.url).port);
  }

  /** As a crash does. */
  async kill() {
    this.child.kill("SIGKILL");
    await this.ended;
  }
}
