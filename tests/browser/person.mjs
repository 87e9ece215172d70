// People who use the page, each in a browser process of their own.
import { openBrowser } from "./chromium.mjs";

const PHONE = { viewport: { width: 390, height: 844 }, locale: "en", permissions: ["clipboard-read", "clipboard-write"] };

/** A person with a phone: what they see and do. */
export class Person {
  static async arrive(address) {
    const person = new Person();
    person.browser = await openBrowser(PHONE);
    person.page = person.browser.context.pages()[0] ?? (await person.browser.context.newPage());
    person.problems = [];
    const { page, problems } = person;
    page.setDefaultTimeout(60_000);
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    await page.exposeFunction("violated", (what) => problems.push(what));
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => globalThis.violated(`${event.violatedDirective} ${event.blockedURI}`));
    });
    person.opened = performance.now();
    await page.goto(address);
    return person;
  }
  press(name) {
    return this.page.getByRole("button", { name, exact: true }).click();
  }
  sees(text) {
    return this.page.getByText(text).first().waitFor();
  }
  /** As little memory as no real phone would offer: the tiny model must not fit on one. */
  offers(bytes) {
    return this.page.evaluate((bytes) => {
      const select = document.getElementById("budget");
      select.append(new Option(String(bytes), String(bytes), true, true));
    }, bytes);
  }
  async asks(question) {
    await this.page.getByRole("textbox", { name: "Question" }).fill(question);
    await this.page.keyboard.press("Enter");
  }
  /** Text of the last answer, once `wanted` holds for it. */
  async answer(wanted) {
    const last = this.page.locator(".markdown").last();
    await last.waitFor();
    await this.page.waitForFunction(([element, source]) => new RegExp(source, "s").test(element.textContent), [await last.elementHandle(), wanted.source]);
    return last.textContent();
  }
}
