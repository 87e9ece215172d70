// A card for pages that an app shows in its own browser: how to get out of it.
import { el } from "../dom";
import { copyButton } from "../invite";
import { say } from "../strings";
import { inAppBrowser } from "./in-app";

/** Nothing in a real browser. */
export function elsewhereCard(): HTMLElement | undefined {
  const app = inAppBrowser(navigator.userAgent, location.href);
  if (!app) return undefined;
  const { name, browser, escape } = app;
  const leave = el("button", { type: "button", class: "primary", onclick: () => location.assign(escape ?? "") }, say.openInBrowser);
  return el(
    "section",
    { class: "fault", "aria-labelledby": "in-app" },
    el("h2", { id: "in-app", class: "fault-message" }, say.inApp(name)),
    el("p", {}, say.inAppRemedy(browser)),
    el("div", { class: "actions" }, escape !== undefined && leave, copyButton(() => location.href, undefined, say.copyLink)),
  );
}
