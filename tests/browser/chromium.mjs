// Headless Chromium processes, one for each emulated phone: pages of one browser would share a GPU process and storage.
import { chromium } from "playwright-core";
import { mkdtemp, rm } from "node:fs/promises";
import { createHash, X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** Until a browser process has heard that a tab is to be closed, ms. */
const HEARD_MS = 200;
const FLAGS = [
  "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--disable-dev-shm-usage", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader",
  "--disable-renderer-backgrounding", "--disable-background-timer-throttling",
];
const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Trusts the certificate that the server made, and no other: the SHA-256 of its public key. */
function trusted() {
  const certificate = process.env.LINGUALINKED_CERTIFICATE;
  if (!certificate || !existsSync(certificate)) return [];
  const key = new X509Certificate(readFileSync(certificate)).publicKey.export({ type: "spki", format: "der" });
  return [`--ignore-certificate-errors-spki-list=${createHash("sha256").update(key).digest("base64")}`];
}

/** How every test starts its Chromium. */
export function launchOptions() {
  const executablePath = process.env.CHROMIUM ?? PLACES.find(existsSync);
  if (!executablePath) throw new Error("no Chromium found: install it or set CHROMIUM to its path");
  return { executablePath, headless: true, args: [...FLAGS, ...trusted()] };
}

/** A browser process of its own, with storage that goes when it is closed. */
export async function openBrowser({ args = [], ...options } = {}) {
  const profile = await mkdtemp(join(tmpdir(), "lingualinked-phone-"));
  const usual = launchOptions();
  const context = await chromium.launchPersistentContext(profile, { ...usual, ...options, args: [...usual.args, ...args] });
  const close = async () => {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  };
  return { context, close };
}

/** Workers that this page starts from now on have these scripts before and after their own. */
export function patchWorkers(page, { before = "", after = "" }) {
  return page.route("**/wasm/worker.js", async (route) => {
    const answer = await route.fetch();
    // A worker may have ended before its script has come.
    await route.fulfill({ response: answer, body: before + (await answer.text()) + after }).catch(() => {});
  });
}

/** An emulated phone: a browser process of its own with a page that a script drives. */
export class EmulatedPhone {
  /** `search` of its page's address; other options are those of `openBrowser`. */
  static async open(url, name, { search = "", ...options } = {}) {
    const phone = new EmulatedPhone(name, await openBrowser(options));
    try {
      await phone.load(url, search);
    } catch (error) {
      await phone.close();
      throw error;
    }
    return phone;
  }

  constructor(name, browser) {
    this.name = name;
    this.browser = browser;
    this.context = browser.context;
    this.events = [];
    this.listeners = new Set();
  }

  /** Opens the page; again is a reload. */
  async load(url, fragment = "") {
    this.page ??= this.context.pages()[0] ?? (await this.context.newPage());
    const problem = (text) => this.tell({ type: "console", text });
    this.page.on("pageerror", (error) => problem(String(error)));
    this.page.on("console", (message) => message.type() === "error" && problem(message.text()));
    await this.page.exposeFunction("tell", (event) => this.tell(event)).catch(() => {});
    await this.page.goto(`${url}/harness.html${fragment}`);
    await this.page.evaluate(async () => void (await window.lingualinked));
  }

  /** Puts scripts before and after those of its workers, and begins with a fresh page. */
  async patchWorkers(url, scripts) {
    await patchWorkers(this.page, scripts);
    await this.load(url);
  }

  /** Runs a function in its workers; what it returns in each. */
  inWorkers(script, argument) {
    return Promise.all(this.page.workers().map((worker) => worker.evaluate(script, argument)));
  }

  /** A new tab in place of the one that is there, was closed, or crashed. */
  async reopen(url) {
    const before = this.page;
    this.page = await this.context.newPage();
    await before.close();
    this.events = [];
    await this.load(url);
  }

  /** Ids of the processes that run this phone's tabs, and of nobody else's. */
  async renderers() {
    const browser = await this.context.browser().newBrowserCDPSession();
    const { processInfo } = await browser.send("SystemInfo.getProcessInfo");
    await browser.detach();
    return processInfo.filter(({ type }) => type === "renderer").map(({ id }) => id);
  }

  /** As the operating system ends a tab when memory is short: nothing runs any more, nothing is said. */
  async kill(renderers) {
    const crashed = this.page.waitForEvent("crash");
    for (const pid of renderers) process.kill(pid, "SIGKILL");
    await crashed;
  }

  /** Closes the tab. It computes nothing from this call on, however long the browser takes to hear of it. */
  async closeTab(renderers) {
    for (const pid of renderers) process.kill(pid, "SIGSTOP");
    const closed = this.page.close();
    await pause(HEARD_MS);
    for (const pid of renderers) process.kill(pid, "SIGCONT");
    await closed;
  }

  /** The page is told that it went behind others, or came back: emulated, for a headless page is always in front. */
  async hide(hidden) {
    await this.page.evaluate((hidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  }

  /** What this phone sends to others takes `hop_ms` longer from now on: an emulated network. */
  async slow(hop_ms) {
    await this.inWorkers(delayChannels, hop_ms);
  }

  /** Of the engine's thread, bytes: by far the largest of a phone's. */
  async peakHeap() {
    return Math.max(...(await this.inWorkers(() => self.heapBytes())));
  }

  tell(event) {
    this.events.push(event);
    for (const listener of [...this.listeners]) listener(event);
  }

  /** The page is loaded again: it goes on as the phone that it was. */
  async reload() {
    await this.page.reload();
    await this.start();
    return this.call("resume");
  }

  /** Makes the page's phone, or takes the one from before a reload; its events come here. */
  async start(options) {
    await this.page.evaluate(async (options) => {
      const { Phone } = await window.lingualinked;
      const phone = options ? new Phone(options) : Phone.reloaded();
      window.phone = phone;
      (async () => {
        const reader = phone.events().getReader();
        for (let next = await reader.read(); !next.done; next = await reader.read()) await window.tell(next.value);
      })();
    }, options);
  }

  /** Calls a method of the page's phone; rejects with its fault. */
  async call(method, argument) {
    const answer = await this.page.evaluate(
      async ([method, argument]) => {
        try {
          return { value: await window.phone[method](argument) };
        } catch (fault) {
          return { fault: fault?.code ? fault : { code: "page.thrown", message: String(fault), remedy: "" } };
        }
      },
      [method, argument],
    );
    if (answer.fault) throw new FaultError(answer.fault, this.name);
    return answer.value;
  }

  /** The next event for which `wanted` holds, from the `from`-th on; a failure of this phone rejects. */
  async until(wanted, from = 0, limit_ms = 300_000) {
    return new Promise((resolve, reject) => {
      const settle = (done, value) => {
        clearTimeout(timer);
        this.listeners.delete(look);
        done(value);
      };
      const look = (event) => {
        if (wanted(event)) settle(resolve, event);
        else if (event.type === "refused" || (event.type === "failed" && (event.fatal || !NOTICES.has(event.fault.code)))) {
          settle(reject, new FaultError(event.fault, this.name));
        }
      };
      const timer = setTimeout(() => {
        const last = JSON.stringify(this.events.slice(-5));
        settle(reject, new Error(`${this.name} waited ${limit_ms} ms; its last events: ${last}`));
      }, limit_ms);
      this.listeners.add(look);
      this.events.slice(from).forEach(look);
    });
  }

  async close() {
    await this.browser.close();
  }
}

/** In a worker: delays its data channels, and keeps the order. */
function delayChannels(hop_ms) {
  self.hop_ms = hop_ms;
  if (self.isDelayed) return;
  self.isDelayed = true;
  const { send } = RTCDataChannel.prototype;
  let pending = 0;
  let delay_ms = 0;
  RTCDataChannel.prototype.send = function (data) {
    if (pending === 0) delay_ms = self.hop_ms;
    if (delay_ms === 0) return send.call(this, data);
    pending += 1;
    // Whoever sends may use its buffer again.
    const copy = data.slice();
    setTimeout(() => {
      pending -= 1;
      if (this.readyState === "open") send.call(this, copy);
    }, delay_ms);
  };
}

/** Things a person should know that stop nothing. */
const NOTICES = new Set(["browser.no_webgpu", "browser.no_storage", "engine.self_test", "weights.false"]);

/** A typed failure of a phone. */
export class FaultError extends Error {
  constructor(fault, phone) {
    super(`${phone}: ${fault.message}`);
    this.fault = fault;
  }
}
