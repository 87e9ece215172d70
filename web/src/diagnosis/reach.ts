// Whether this browser's WebRTC works at all: it connects to itself. What then still fails lies between the phones.

/** `itself`: it works. `no_address`: the browser names no address of its own. `blocked`: it does, and nothing comes through. */
export type Reach = "itself" | "no_address" | "blocked";

const LIMIT_MS = 5000;

export async function reach(): Promise<Reach> {
  const [one, other] = [new RTCPeerConnection(), new RTCPeerConnection()];
  let addresses = 0;
  const carry = (from: RTCPeerConnection, to: RTCPeerConnection) => {
    from.onicecandidate = ({ candidate }) => {
      if (!candidate?.candidate) return;
      addresses += 1;
      // An address the other end cannot use is one fewer, no more.
      to.addIceCandidate(candidate).catch(() => undefined);
    };
  };
  carry(one, other);
  carry(other, one);
  try {
    const open = opened(one.createDataChannel("reach"));
    await one.setLocalDescription();
    await other.setRemoteDescription(description(one));
    await other.setLocalDescription();
    await one.setRemoteDescription(description(other));
    if (await open) return "itself";
    return addresses === 0 ? "no_address" : "blocked";
  } catch {
    return "blocked";
  } finally {
    one.close();
    other.close();
  }
}

function opened(channel: RTCDataChannel): Promise<boolean> {
  return new Promise((resolve) => {
    channel.onopen = () => resolve(true);
    setTimeout(() => resolve(false), LIMIT_MS);
  });
}

function description({ localDescription }: RTCPeerConnection): RTCSessionDescription {
  if (!localDescription) throw new Error("no description");
  return localDescription;
}
