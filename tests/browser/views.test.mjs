// Every view of the page, in a scripted room: accessible (axe), large enough to touch, and nowhere wider than the screen.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { launchOptions } from "./chromium.mjs";
import { openScene, SCENES } from "./scripted/scenes.mjs";

const url = process.env.LINGUALINKED_URL;
const full = process.env.LINGUALINKED_FULL === "1";
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const STANDARDS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"];
const SIZES = [
  { width: 390, height: 844 },
  { width: 1280, height: 800 },
  // A small phone, a phone on its side, and a desktop at 200 % zoom.
  ...(full ? [{ width: 360, height: 640 }, { width: 844, height: 390 }, { width: 640, height: 400 }] : []),
];
const THEMES = ["light", "dark"];

/** CSS pixels. */
const SMALLEST_TARGET = 44;

let browser;
before(async () => (browser = await chromium.launch(launchOptions())));
after(() => browser?.close());

/** What axe objects to, in words. Sizes change the layout, so every rule is asked there; themes change colours only. */
async function objections(page, rules) {
  const { violations } = await page.evaluate((run) => globalThis.axe.run(document, { ...run, resultTypes: ["violations"] }), rules);
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(" ")}: ${node.failureSummary}`));
}

/** Controls that a thumb misses; links within sentences are as high as their line. */
const smallTargets = (page) => page.evaluate((smallest) => {
  const controls = [...document.querySelectorAll("button, input, select, textarea, summary, [role=button]")];
  // Fractions of a pixel come from zoom and fonts.
  const small = ({ width, height }) => Math.min(width, height) < smallest - 0.5;
  return controls.filter((control) => control.checkVisibility() && small(control.getBoundingClientRect()))
    .map((control) => `${control.outerHTML.slice(0, 80)} ${control.offsetWidth}x${control.offsetHeight}`);
}, SMALLEST_TARGET);

const tooWide = (page) => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);

for (const language of ["en", "ko"]) for (const name of Object.keys(SCENES)) {
  test(`${name} (${language})`, async () => {
    const problems = [];
    const complain = (text) => problems.push(text);
    const page = await openScene(browser, { url, name, language, viewport: SIZES[0], colorScheme: THEMES[0], complain });
    try {
      await page.evaluate(AXE);
      for (const viewport of SIZES) {
        await page.setViewportSize(viewport);
        const where = `at ${viewport.width}x${viewport.height}`;
        for (const small of await smallTargets(page)) complain(`${where}: small: ${small}`);
        if (await tooWide(page)) complain(`${where}: scrolls sideways`);
        for (const colorScheme of THEMES) {
          await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
          const rules = colorScheme === THEMES[0] ? { runOnly: STANDARDS } : { runOnly: { type: "rule", values: ["color-contrast"] } };
          for (const objection of await objections(page, rules)) complain(`${where}, ${colorScheme}: ${objection}`);
        }
      }
    } finally {
      await page.context().close();
    }
    assert.deepEqual(problems, []);
  });
}

test("what a model writes is never markup, and looks the same whether it comes at once or in pieces", async () => {
  const scene = { url, language: "en", viewport: SIZES[0], colorScheme: "light", complain: (text) => assert.fail(text) };
  const page = await openScene(browser, { ...scene, name: "answered-markdown" });
  try {
    const { tags, handlers, links, html } = await page.evaluate(() => {
      const answer = document.querySelector(".markdown");
      const all = [...answer.querySelectorAll("*")];
      return {
        tags: [...new Set(all.map(({ localName }) => localName))].sort(),
        handlers: all.flatMap(({ attributes }) => [...attributes].map(({ name }) => name)).filter((name) => name.startsWith("on")),
        links: all.filter(({ localName }) => localName === "a").map(({ href }) => href),
        html: answer.innerHTML,
      };
    });
    assert.deepEqual(tags, ["a", "blockquote", "br", "code", "div", "hr", "li", "ol", "p", "pre", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"]);
    assert.deepEqual(handlers, []);
    assert.deepEqual(links, ["https://example.org/?a=1&b=2"]);
    assert.match(html, /&lt;img src=x onerror=/);
    await page.getByLabel("Language").selectOption("ko");
    assert.equal(await page.evaluate(() => document.querySelector(".markdown").innerHTML), html);
  } finally {
    await page.context().close();
  }
});
