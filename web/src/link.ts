// Links of rooms: the room's number is in the fragment, which browsers send to no server.

/** The server decides how its rooms are called; this much is safe in a link. */
const ROOM = /^[0-9A-Za-z_-]{6,64}$/;

/** The room of this page's address. */
export function roomOfPage(): string | null {
  return roomOf(new URL(location.href));
}

export function linkTo(room: string): string {
  return new URL(`#room=${room}`, location.origin + location.pathname).href;
}

/** Whether other devices can open this page's address. */
export function onlyHere(): boolean {
  return ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
}

/** What a person pasted, as a link that opens a room; `null` if it is none. */
export function linkFrom(pasted: string): string | null {
  const text = pasted.trim();
  try {
    const url = new URL(text);
    const web = url.protocol === "https:" || url.protocol === "http:";
    return web && roomOf(url) ? url.href : null;
  } catch {
    return ROOM.test(text) ? linkTo(text) : null;
  }
}

function roomOf(url: URL): string | null {
  const room = new URLSearchParams(url.hash.slice(1)).get("room");
  return room && ROOM.test(room) ? room : null;
}
