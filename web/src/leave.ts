// Asks before a room is left.
import { el } from "./dom";
import { say } from "./strings";

/** Resolves with whether the person wants to leave. */
export function confirmLeave(role: "host" | "guest"): Promise<boolean> {
  const dialog = el("dialog", { class: "card", "aria-labelledby": "leave-title" });
  const close = (answer: string) => () => dialog.close(answer);
  dialog.append(
    el("h2", { id: "leave-title" }, say.leaveTitle),
    el("p", {}, role === "host" ? say.leaveHost : say.leaveGuest),
    el(
      "div",
      { class: "actions" },
      el("button", { class: "primary", type: "button", onclick: close("leave") }, say.leave),
      el("button", { type: "button", onclick: close("") }, say.stay),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => {
      dialog.remove();
      resolve(dialog.returnValue === "leave");
    };
  });
}
