// One colour and one number per member. The colours (Okabe and Ito's) stay apart for colour-blind eyes; the number tells them without colour.
import { el } from "./dom";

/** Colours in style.css. */
const COLOURS = 8;

export const colourClass = (member: number): string => `member-${member % COLOURS}`;

/** What people count from 1. */
export const numberOf = (member: number): string => String(member + 1);

export function badge(member: number): HTMLElement {
  return el("span", { class: `badge ${colourClass(member)}`, "aria-hidden": "true" }, numberOf(member));
}
