// node shots.mjs [OUT]: pictures of the page that LINGUALINKED_URL names, in a scripted room. With OUT every view, else the README's and the icon.
// ONLY=name,name takes some of the views.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { launchOptions } from "./chromium.mjs";
import { openScene, SCENES } from "./scripted/scenes.mjs";

const [out] = process.argv.slice(2);
const url = process.env.LINGUALINKED_URL;
const DOCS = fileURLToPath(new URL("../../docs/screenshots", import.meta.url));
const PHONE = { width: 390, height: 844 };
const DESKTOP = { width: 1280, height: 800 };

const README = [
  { file: "start", name: "start" },
  { file: "invite", name: "host-enough" },
  { file: "join", name: "join", language: "ko" },
  { file: "answering", name: "answered" },
  { file: "dark", name: "answered-details", colorScheme: "dark" },
  { file: "desktop", name: "answered-details", viewport: DESKTOP },
].map((shot) => ({ language: "en", colorScheme: "light", viewport: PHONE, ...shot }));

const wanted = (name) => !process.env.ONLY || process.env.ONLY.split(",").includes(name);
const every = () => Object.keys(SCENES).filter(wanted).flatMap((name) => [PHONE, DESKTOP].flatMap((viewport) => ["light", "dark"].flatMap((colorScheme) => ["en", "ko"].map((language) => (
  { file: `${name}-${viewport.width}-${colorScheme}-${language}`, name, viewport, colorScheme, language, fullPage: true }
)))));

/** Home screens of iPhones take no SVG. */
async function drawIcon(browser) {
  const page = await browser.newPage({ viewport: { width: 512, height: 512 } });
  await page.goto(new URL("../../web/icon.svg", import.meta.url).href);
  await page.screenshot({ path: fileURLToPath(new URL("../../web/icon.png", import.meta.url)) });
  await page.close();
}

const folder = out ?? DOCS;
const browser = await chromium.launch(launchOptions());
await mkdir(folder, { recursive: true });
try {
  if (!out) await drawIcon(browser);
  for (const { file, fullPage = false, ...scene } of out ? every() : README) {
    const complain = (text) => {
      process.exitCode = 1;
      console.error(`${file}: ${text}`);
    };
    const page = await openScene(browser, { url, complain, ...scene });
    await page.screenshot({ path: join(folder, `${file}.png`), fullPage });
    await page.context().close();
  }
} finally {
  await browser.close();
}
