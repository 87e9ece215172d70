// One sentence about where the room stands.
import { bytes } from "./format";
import type { MemberView } from "./facade";
import type { Capacity, Room } from "./room";
import { say } from "./strings";

export function statusOf(room: Room): string {
  switch (room.phase) {
    case "opening":
      return room.role === "host" ? opening(room) : say.joining;
    case "gathering":
      return room.role === "host" ? gathering(room) : guestWaits(room);
    case "planning":
      return unmeasured(room).length > 0 ? say.measuring(names(unmeasured(room))) : say.planning;
    case "loading":
      return loading(room);
    case "ready":
      return say.ready(holders(room).length);
    case "answering":
      return answering(room);
    case "over":
      return say.roomOver;
  }
}

/** Whether the phones present can hold the model, as far as sums tell. */
export function suffices(capacity: Capacity | undefined): boolean {
  return capacity !== undefined && capacity.measured && capacity.offeredBytes >= capacity.neededBytes;
}

/** Members that hold a part. */
export function holders(room: Room): MemberView[] {
  return room.members.filter((member) => member.units.length > 0);
}

export function names(members: MemberView[]): string {
  return members.map((member) => member.name).join(", ");
}

/** Of what the room waits for, bytes: a file that is read, or what all phones together load. */
export function progressOf(room: Room): { done: number; total: number } | undefined {
  if (room.phase === "opening") return room.read;
  return room.phase === "loading" ? loadedOf(room) : undefined;
}

function loadedOf(room: Room): { done: number; total: number } {
  const sum = (of: (member: MemberView) => number) => holders(room).reduce((total, member) => total + of(member), 0);
  return { done: sum((member) => member.loaded_bytes), total: sum((member) => member.assigned_bytes) };
}

function opening({ read }: Room): string {
  return read && read.done < read.total ? say.readingFile(bytes(read.done), bytes(read.total)) : say.opening;
}

function unmeasured(room: Room): MemberView[] {
  return room.members.filter((member) => member.measured.length === 0);
}

function gathering(room: Room): string {
  const { capacity } = room;
  if (!capacity || !capacity.measured) return say.measuring(names(unmeasured(room)) || room.myName);
  const { neededBytes, offeredBytes } = capacity;
  const count = room.members.length;
  if (suffices(capacity)) return say.enough(count, bytes(offeredBytes), bytes(neededBytes));
  const missing = neededBytes - offeredBytes;
  const usual = offeredBytes / Math.max(count, 1);
  return say.short(bytes(missing), usual > 0 ? Math.ceil(missing / usual) : 1);
}

function guestWaits(room: Room): string {
  const { me } = room;
  if (me && me.measured.length === 0) return say.measuring(me.name);
  return say.waitingForHost(room.host?.name ?? say.hostFallback);
}

function loading(room: Room): string {
  const { done, total } = loadedOf(room);
  if (total === 0) return say.planning;
  if (done >= total) return say.preparing;
  const speed = room.bytesPerSecond;
  return say.loading(bytes(done), bytes(total), speed > 0 ? bytes(speed) : "");
}

function answering(room: Room): string {
  const tokens = room.turns.at(-1)?.tokens ?? 0;
  if (room.stopping) return say.stopping;
  return tokens === 0 ? say.reading : say.answering(tokens);
}
