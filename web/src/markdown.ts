// Markdown of answers as elements. What a model writes is never markup here: raw HTML stays text, pictures stay words, links are http(s) only.
import { lexer, type Token, type Tokens } from "marked";
import { el, type Child } from "./dom";

/** Grows with an answer: only what changed is drawn anew, so that a selection in the rest survives. */
export class Markdown {
  readonly element = el("div", { class: "markdown" });
  #drawn: string[] = [];

  show(source: string): void {
    const blocks = lexer(source, { gfm: true, breaks: true }).filter((block) => block.type !== "space");
    const same = this.#drawn.findIndex((raw, index) => blocks[index]?.raw !== raw);
    const kept = same === -1 ? this.#drawn.length : same;
    const { children } = this.element;
    while (children.length > kept) children[kept]?.remove();
    this.element.append(...blocks.slice(kept).map(block));
    this.#drawn = blocks.map(({ raw }) => raw);
  }
}

/** One element per block: `Markdown` counts on it. */
function block(token: Token): HTMLElement {
  switch (token.type) {
    case "heading":
      // Below the page's own headings, whatever the model says.
      return el("p", { class: "heading" }, ...inline(token.tokens));
    case "code":
      return el("pre", { tabindex: 0 }, el("code", {}, token.text as string));
    case "blockquote":
      return el("blockquote", {}, ...blocks(token.tokens));
    case "list":
      return list(token as Tokens.List);
    case "table":
      return table(token as Tokens.Table);
    case "hr":
      return el("hr");
    case "paragraph":
    case "text":
      return el("p", {}, ...inline(token.tokens ?? [token]));
    default:
      return el("p", {}, token.raw);
  }
}

const blocks = (tokens: Token[] | undefined): HTMLElement[] => (tokens ?? []).filter(({ type }) => type !== "space").map(block);

function list({ ordered, start, items, loose }: Tokens.List): HTMLElement {
  // A short item is a line, not a paragraph.
  const content = (item: Tokens.ListItem) => item.tokens.flatMap((token) => (isInline(token) && !loose ? inline(token.tokens ?? [token]) : blocks([token])));
  const lines = items.map((item) => el("li", {}, ...content(item)));
  return ordered ? el("ol", { start: start === "" ? 1 : start }, ...lines) : el("ul", {}, ...lines);
}

const isInline = (token: Token): token is Tokens.Text => token.type === "text" || token.type === "checkbox";

function table({ header, rows }: Tokens.Table): HTMLElement {
  const head = el("tr", {}, ...header.map((cell) => el("th", { scope: "col" }, ...inline(cell.tokens))));
  const body = rows.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, ...inline(cell.tokens)))));
  return el("div", { class: "table-frame", tabindex: 0 }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)));
}

function inline(tokens: Token[] | undefined): Child[] {
  return (tokens ?? []).map((token) => {
    switch (token.type) {
      case "strong":
        return el("strong", {}, ...inline(token.tokens));
      case "em":
        return el("em", {}, ...inline(token.tokens));
      case "del":
        return el("s", {}, ...inline(token.tokens));
      case "codespan":
        return el("code", {}, token.text as string);
      case "br":
        return el("br");
      case "link":
        return link(token as Tokens.Link);
      case "text":
        return token.tokens ? el("span", {}, ...inline(token.tokens)) : token.raw;
      case "escape":
        return token.text as string;
      default:
        return token.raw;
    }
  });
}

function link({ href, tokens }: Tokens.Link): Child {
  const web = /^https?:\/\//i.test(href);
  return web ? el("a", { href, target: "_blank", rel: "noopener noreferrer" }, ...inline(tokens)) : el("span", {}, ...inline(tokens));
}
