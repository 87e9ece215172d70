// Links of rooms: the invitation is the fragment, which browsers send to no server. It contains the room's secret.

/** What an invitation begins with; the Rust module reads the rest, and says what is wrong with it. */
const INVITATION = /^room=./;

/** The invitation in this page's address. */
export function invitationOfPage(): string | null {
  return invitationOf(new URL(location.href));
}

export function linkTo(invitation: string): string {
  return new URL(`#${invitation}`, location.origin + location.pathname).href;
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
    return web && invitationOf(url) ? url.href : null;
  } catch {
    return INVITATION.test(text) ? linkTo(text) : null;
  }
}

function invitationOf(url: URL): string | null {
  const fragment = url.hash.slice(1);
  return INVITATION.test(fragment) ? fragment : null;
}
