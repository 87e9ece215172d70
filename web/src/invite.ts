// The way into a room for other phones: code, link, copy, share.
import { encode } from "uqr";

import { el, svg } from "./dom";
import { linkTo, onlyHere } from "./link";
import { say } from "./strings";

/** How long "Copied" stays, ms. */
const COPIED_MS = 2000;

export function inviteCard(invitation: string): HTMLElement {
  const link = linkTo(invitation);
  const text = el("input", { id: "room-link", class: "link", type: "text", readonly: true, value: link, "aria-label": say.roomLink });
  text.onfocus = () => text.select();
  const copy = copyButton(() => link, () => text.select());
  const share = el("button", { type: "button", onclick: () => void navigator.share({ url: link }).catch(() => undefined) }, say.share);
  return el(
    "div",
    { class: "invitation" },
    code(link),
    el(
      "div",
      { class: "invitation-text" },
      el("p", {}, say.inviteHow),
      onlyHere() && el("p", { class: "problem" }, say.localOnly),
      text,
      el("div", { class: "actions" }, copy, "share" in navigator && share),
    ),
  );
}

/** Copies, and says so for a moment; `select` helps where the page may not write to the clipboard. */
export function copyButton(text: () => string, select: () => void = () => undefined, label = say.copy): HTMLButtonElement {
  const button = el("button", { type: "button" }, label);
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(text());
    } catch {
      select();
      return;
    }
    button.textContent = say.copied;
    setTimeout(() => (button.textContent = label), COPIED_MS);
  };
  return button;
}

/** Always dark on light: many scanners read nothing else. */
function code(link: string): HTMLElement {
  const { data, size } = encode(link, { ecc: "M", border: 3 });
  const dark = data.flatMap((row, y) => row.map((on, x) => (on ? `M${x} ${y}h1v1h-1z` : "")));
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": say.roomCode, "shape-rendering": "crispEdges" },
    svg("path", { d: dark.join("") }),
  );
  return el("div", { class: "code" }, picture);
}
