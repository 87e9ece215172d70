// The page: which view is shown, and what leads from one to the next.
import { stayAwake } from "./awake";
import { el, fill } from "./dom";
import { faultCard, faultOf, loadFault } from "./errors";
import type { Fault, HostedModel, Phone, PhoneOptions } from "./facade";
import { isFault } from "./faults";
import { confirmLeave } from "./leave";
import { invitationOfPage } from "./link";
import { modelOrigins } from "./models";
import { keepOnReload, keptPage, type Kept } from "./reload";
import { Room } from "./room";
import { preferredLanguage, rememberLanguage, say, useLanguage, type Language } from "./strings";
import { joinView } from "./view-join";
import { roomView, type View } from "./view-room";
import { startView } from "./view-start";
import { load } from "./wasm";

/** The room this page is in, until the person goes back to the start. */
let room: Room | undefined;
/** Why the last attempt to start a room failed. */
let problem: Fault | undefined;
let view: View | undefined;
let sleep: (() => void) | undefined;
let forget: (() => void) | undefined;

function show(): void {
  view?.end();
  view = viewOfNow();
  document.title = "LinguaLinked";
  fill(document.body, header(), problem && el("div", { class: "narrow" }, faultCard(problem)), view.element);
}

function viewOfNow(): View {
  const end = () => undefined;
  const opened = room;
  if (opened) return roomView(opened, backToStart, () => cancelOpening(opened));
  const invited = invitationOfPage();
  if (invited) return { element: joinView((options) => join(invited, options), backToStart), end };
  return { element: startView((model, options) => void host(model, options)), end };
}

function header(): HTMLElement {
  const select = el("select", { id: "language", "aria-label": say.languageLabel, lang: "mul" });
  for (const [value, text] of [["en", "English"], ["ko", "한국어"]] as const) {
    select.append(el("option", { value, lang: value, selected: value === say.locale }, text));
  }
  select.onchange = () => {
    const language = select.value as Language;
    useLanguage(language);
    rememberLanguage(language);
    show();
    document.getElementById("language")?.focus();
  };
  const leave = el("button", { class: "quiet", type: "button", onclick: () => void askToLeave() }, say.leave);
  const inRoom = room !== undefined && room.phase !== "over";
  return el("header", {}, el("span", { class: "brand" }, "LinguaLinked"), select, inRoom && leave);
}

async function host(model: HostedModel, options: PhoneOptions): Promise<void> {
  problem = undefined;
  const phone = await newPhone(options);
  if (!phone) {
    show();
    return;
  }
  const opening = enter(new Room(phone, "host", options.name));
  show();
  try {
    opening.opened((await phone.host(model)).invitation);
  } catch (thrown) {
    if (room !== opening) return;
    problem = opening.end ?? faultOf(thrown);
    exit();
    show();
  }
}

/** The room this tab hosted before it was loaded again. */
async function resume(kept: Kept): Promise<void> {
  const phone = (await load()).Phone.reloaded();
  if (!phone) return;
  const resumed = new Room(phone, "host", kept.myName);
  resumed.restore(kept);
  enter(resumed);
  show();
  try {
    resumed.opened((await phone.resume()).invitation);
  } catch (thrown) {
    if (room !== resumed) return;
    problem = resumed.end ?? faultOf(thrown);
    exit();
    show();
  }
}

async function join(invited: string, options: PhoneOptions): Promise<Fault | undefined> {
  problem = undefined;
  const phone = await newPhone(options);
  if (!phone) return problem;
  const joining = new Room(phone, "guest", options.name);
  try {
    await phone.join(invited);
  } catch (thrown) {
    return joining.end ?? faultOf(thrown);
  }
  enter(joining).opened(invited);
  show();
  return undefined;
}

async function newPhone(options: PhoneOptions): Promise<Phone | undefined> {
  try {
    const { Phone } = await load();
    return new Phone({ ...options, modelOrigins: await modelOrigins() });
  } catch (thrown) {
    problem = isFault(thrown) ? thrown : loadFault(thrown);
    return undefined;
  }
}

function enter(entered: Room): Room {
  room = entered;
  sleep = stayAwake((notice) => entered.notice(notice));
  forget = keepOnReload(entered);
  const unwatch = entered.watch(() => {
    if (entered.phase !== "over") return;
    unwatch();
    sleep?.();
    forget?.();
    document.querySelector("header")?.replaceWith(header());
  });
  return entered;
}

function exit(): void {
  sleep?.();
  forget?.();
  room = undefined;
}

async function askToLeave(): Promise<void> {
  if (room?.isOpening) cancelOpening(room);
  else if (room && (await confirmLeave(room.role))) room.leave();
}

/** Nobody else is in it yet. */
function cancelOpening(opening: Room): void {
  opening.leave();
  backToStart();
}

function backToStart(): void {
  exit();
  problem = undefined;
  history.replaceState(null, "", location.pathname);
  show();
}

useLanguage(preferredLanguage());
window.addEventListener("hashchange", () => {
  if (!room) show();
});
show();
const kept = keptPage();
if (kept) {
  resume(kept).catch((thrown: unknown) => {
    problem = loadFault(thrown);
    show();
  });
}
