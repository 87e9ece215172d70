// The page itself, as two people use it: two browser processes, a tiny random-weight model, under the server's content security policy.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { Person } from "./person.mjs";

const url = process.env.LINGUALINKED_URL;
/** Too little for the model on one phone, enough on two. */
const BUDGET_BYTES = 1_000_000;

/** From opening the page until the host sees this phone, ms. */
const LISTED_MS = 5_000;

let host;
let guest;
before(async () => (host = await Person.arrive(url)));
after(async () => {
  await host?.browser.close();
  await guest?.browser.close();
});

test("one person starts a room, and copies its link", async () => {
  await host.page.getByRole("button", { name: "Start a room" }).and(host.page.locator(":enabled")).waitFor();
  await host.offers(BUDGET_BYTES);
  await host.press("Start a room");
  await host.sees("Invite phones");
  await host.press("Copy");
  await host.sees("Copied");
});

test("another joins by the link, and both are seen", async () => {
  const link = await host.page.evaluate(() => navigator.clipboard.readText());
  guest = await Person.arrive(url);
  await guest.page.getByLabel("Link of the room").fill(link);
  await guest.press("Join");
  await guest.sees("Join this room?");
  await guest.page.getByLabel("Name").fill("Kind Guest");
  await guest.page.getByRole("button", { name: "Join" }).and(guest.page.locator(":enabled")).waitFor();
  await guest.offers(BUDGET_BYTES);
  await guest.press("Join");
  await guest.sees("This phone is part of the room");
  await host.sees("Kind Guest");
  await host.sees("2 phones");
  const listed_ms = performance.now() - guest.opened;
  console.log(`listed ${Math.round(listed_ms)} ms after it opened the page`);
  assert.ok(listed_ms <= LISTED_MS, `${listed_ms} ms`);
});

test("they load the model", async () => {
  await host.page.getByRole("button", { name: "Begin" }).and(host.page.locator(":enabled")).click();
  await host.sees("Ready on 2 phones.");
  await guest.sees("Ready on 2 phones.");
});

test("an answer streams until it is stopped", async () => {
  await host.asks("abcdefgh");
  // At the first word, from within the page: the whole answer takes a fraction of a second.
  await host.page.waitForFunction(() => {
    const stop = [...document.querySelectorAll("button")].find(({ textContent, hidden }) => textContent === "Stop" && !hidden);
    if (!stop || !document.querySelector(".markdown")?.textContent) return false;
    stop.click();
    return true;
  });
  await host.sees("Stopped.");
});

test("a second question is answered, after the first", async () => {
  await host.asks("hgfedcba");
  await host.page.locator(".turn").nth(1).getByText(/tok\/s on 2 phones/).waitFor();
  assert.notEqual(await host.answer(/./), "");
  assert.equal(await host.page.locator(".turn").count(), 2);
});

test("a question that is far too long goes back to the composer, with the reason", async () => {
  const question = "abcdefgh ".repeat(100_000 / 9);
  await host.asks(question);
  await host.page.locator(".fault-code", { hasText: "prompt.too_long" }).waitFor();
  assert.equal(await host.page.getByRole("textbox", { name: "Question" }).inputValue(), question.trim());
  assert.equal(await host.page.locator(".turn").count(), 2);
  await host.page.getByRole("textbox", { name: "Question" }).fill("");
});

test("the host's page is loaded again: the chat is there, and the room goes on", async () => {
  await host.page.reload();
  await host.sees("Ready on 2 phones.");
  assert.equal(await host.page.locator(".turn").count(), 2);
  // The answers so far may have filled the model's context.
  await host.press("New chat");
  await host.asks("gfedcbah");
  await host.page.locator(".turn").getByText(/on 2 phones/).waitFor();
  assert.equal(await host.page.locator(".turn").count(), 1);
});

test("a text is classified, with scores of both labels", async () => {
  await host.page.getByLabel("Task").selectOption("Sentiment");
  await host.asks("abcd");
  await host.answer(/(Positive \d+%, Negative \d+%|Negative \d+%, Positive \d+%)/);
  await host.page.getByLabel("Task").selectOption("Chat");
});

test("the room ends for both when its host leaves", async () => {
  await host.press("Leave");
  await host.page.getByRole("dialog").getByRole("button", { name: "Leave" }).click();
  await host.sees("You left the room.");
  await guest.sees("The phone that started the room has ended it.");
  await guest.press("Back to start");
  await guest.sees("Run a language model on the phones in this room.");
});

test("what a phone keeps is shown, and deleted", async () => {
  await host.press("Back to start");
  await host.page.getByText("Stored on this phone").click();
  await host.sees(/MB of 0\.8/);
  await host.page.getByRole("button", { name: /^Delete / }).click();
  await host.sees("Nothing is stored on this phone.");
});

test("the page can be installed", async () => {
  const devtools = await host.browser.context.newCDPSession(host.page);
  const { installabilityErrors } = await devtools.send("Page.getInstallabilityErrors");
  assert.deepEqual(installabilityErrors, []);
});

test("nothing was refused by the policy, and nothing complained", () => {
  assert.deepEqual(host.problems, []);
  assert.deepEqual(guest.problems, []);
});
