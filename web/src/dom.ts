// Elements from TypeScript. Nothing here takes markup: text stays text.

type Value = string | number | boolean | undefined | EventListener;
export type Attributes = Record<string, Value>;
export type Child = Node | string | false | null | undefined;

/** An HTML element. Functions are listeners (`onclick`), booleans are present or absent, the rest are attributes. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  return filled(document.createElement(tag), attributes, children);
}

/** An SVG element, likewise. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/** Replaces what is in an element. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren(...children.filter(present));
}

/** Writes text only where it differs, so that screen readers hear changes only. */
export function write(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

function filled<E extends Element>(element: E, attributes: Attributes, children: Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else if (value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.filter(present));
  return element;
}

function present(child: Child): child is Node | string {
  return child !== false && child !== null && child !== undefined;
}
