// node shots.mjs OUT: pictures of every view of the page that LINGUALINKED_URL names, in a scripted room. ONLY=name,name takes some.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { launchOptions } from "./chromium.mjs";
import { openScene, SCENES } from "./scripted/scenes.mjs";

const [out] = process.argv.slice(2);
const url = process.env.LINGUALINKED_URL;
if (!out || !url) throw new Error("usage: LINGUALINKED_URL=URL node shots.mjs OUT");

const SIZES = [{ width: 390, height: 844 }, { width: 1280, height: 800 }];
const THEMES = ["light", "dark"];
const LANGUAGES = ["en", "ko"];
const wanted = (name) => !process.env.ONLY || process.env.ONLY.split(",").includes(name);

const browser = await chromium.launch(launchOptions());
await mkdir(out, { recursive: true });
try {
  for (const viewport of SIZES) for (const colorScheme of THEMES) for (const language of LANGUAGES) {
    for (const name of Object.keys(SCENES).filter(wanted)) {
      const label = `${name}-${viewport.width}-${colorScheme}-${language}`;
      const complain = (text) => {
        process.exitCode = 1;
        console.error(`${label}: ${text}`);
      };
      const page = await openScene(browser, { url, name, language, viewport, colorScheme, complain });
      await page.screenshot({ path: join(out, `${label}.png`), fullPage: true });
      await page.context().close();
    }
  }
} finally {
  await browser.close();
}
