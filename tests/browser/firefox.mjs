// Firefox as an emulated phone: stock Firefox over WebDriver BiDi (playwright-core drives only its own build).
import { createHash, X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";
import { EmulatedPhone } from "./chromium.mjs";

const PLACES = ["/usr/bin/firefox-esr", "/usr/bin/firefox", "/Applications/Firefox.app/Contents/MacOS/firefox"];

export const firefoxPath = () => process.env.FIREFOX ?? PLACES.find(existsSync);

/** As if a person had accepted this one certificate at this one address. */
async function accept(profile, url) {
  const { hostname, port } = new URL(url);
  const { raw } = new X509Certificate(await readFile(process.env.LINGUALINKED_CERTIFICATE));
  const fingerprint = createHash("sha256").update(raw).digest("hex").toUpperCase().match(/../g).join(":");
  await writeFile(join(profile, "cert_override.txt"), `${hostname}:${port}:\tOID.2.16.840.1.101.3.4.2.1\t${fingerprint}\t\n`);
}

/** A Firefox process of its own. */
export async function openFirefox(url, name, { trusting = true } = {}) {
  const executablePath = firefoxPath();
  if (!executablePath) throw new Error("no Firefox found: install it or set FIREFOX to its path");
  const profile = await mkdtemp(join(tmpdir(), "lingualinked-firefox-"));
  if (trusting) await accept(profile, url);
  const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true, userDataDir: profile });
  const close = async () => {
    await browser.close();
    await rm(profile, { recursive: true, force: true });
  };
  // What the phone needs of playwright's context, with puppeteer's pages behind it.
  const context = { pages: () => [], newPage: async () => (await browser.pages())[0] ?? browser.newPage() };
  const phone = new EmulatedPhone(name, { context, close });
  try {
    await phone.load(url);
  } catch (error) {
    await close();
    throw error;
  }
  return phone;
}
