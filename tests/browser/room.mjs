// A room of emulated phones: one hosts, the others join by its link, and they answer.
import { EmulatedPhone } from "./chromium.mjs";

const isReady = (event) => event.type === "ready";

/** Opens `budgets.length` phones on the server at `url`, with its first model or the one given, and returns when all segments are loaded, or another event shows that the room `isOpen`; `open` may bring other phones. */
export async function openRoom({ url, budgets, engine = "auto", contextColumns, wire, model, modelOrigins, tell = () => {}, isOpen = isReady, open = EmulatedPhone.open }) {
  const [first] = await (await fetch(`${url}/api/models`)).json();
  const names = budgets.map((_, index) => (index === 0 ? "host" : `phone ${index}`));
  const phones = await Promise.all(names.map((name) => open(url, name)));
  try {
    for (const [index, phone] of phones.entries()) {
      const options = { name: phone.name, client: phone.name, engine };
      if (budgets[index] !== undefined) options.budgetBytes = budgets[index];
      if (contextColumns) options.contextColumns = contextColumns;
      if (wire) options.wire = wire;
      if (modelOrigins) options.modelOrigins = modelOrigins;
      await phone.start(options);
    }
    const [host, ...guests] = phones;
    const { id, file, manifest } = first;
    const { room, invitation } = await host.call("host", model ?? { id, file, manifest });
    tell(`room ${room}`);
    for (const guest of guests) await guest.call("join", invitation);
    tell(`${phones.length} phones connected; measuring`);
    await host.until(() => areMeasured(host, phones.length));
    await host.call("begin");
    const { plan } = await host.until((event) => event.type === "planned");
    await host.until(isOpen);
    return { phones, host, model: first, plan, invitation };
  } catch (error) {
    await closeRoom({ phones });
    throw error;
  }
}

/** Whether the host knows what `count` phones can do, itself among them. */
export function areMeasured(host, count) {
  const last = (type) => host.events.findLast((event) => event.type === type);
  const listed = last("members")?.members ?? [];
  return listed.length === count && listed.every(({ measured }) => measured.length > 0) && last("capacity")?.measured === true;
}

/** Asks the host; `onToken` gets text as it comes. Resolves with the `finished` event. */
export async function ask({ host }, request, onToken = () => {}, limit_ms = undefined) {
  const from = host.events.length;
  const listener = (event) => event.type === "token" && onToken(event.text);
  host.listeners.add(listener);
  await host.call("generate", request);
  const finished = await host.until((event) => event.type === "finished", from, limit_ms);
  host.listeners.delete(listener);
  return finished;
}

/** Resolves once members' figures count the answers so far. */
export const measured = ({ host }) =>
  host.until((event) => event.type === "members" && event.members.some((member) => member.ms_per_token !== null), host.events.length);

/** What the host knows of every member. */
export const members = ({ host }) => host.events.findLast((event) => event.type === "members").members;

/** Opens rooms one after another with the same browsers, which are opened with the first one and keep what they stored. */
export class Fleet {
  #phones = new Map();

  /** `prepare` is done to every phone before it starts. */
  open({ prepare = async () => {}, ...options }) {
    const open = async (url, name) => {
      const phone = await this.#phone(url, name);
      await prepare(phone);
      return phone;
    };
    return openRoom({ ...options, open });
  }

  async #phone(url, name) {
    const known = this.#phones.get(name);
    if (known) {
      await known.reopen(url);
      return known;
    }
    const phone = await EmulatedPhone.open(url, name);
    this.#phones.set(name, phone);
    return phone;
  }

  close() {
    return closeRoom({ phones: [...this.#phones.values()] });
  }
}

export async function closeRoom({ phones }) {
  await Promise.all(phones.map((phone) => phone.close().catch(() => {})));
}
