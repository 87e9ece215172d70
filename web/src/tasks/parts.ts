// Texts longer than a room's context, in parts that fit it.
import { isTooLong } from "./ask.js";

/** A part of so few characters is not cut again: the room's context is too short for any part. */
const SHORTEST_PART_CHARS = 64;
/** Where to cut, the best first. */
const BOUNDARIES = [/\n\s*\n/g, /\n/g, /[.!?\u3002\uFF01\uFF1F]\s*/g, /\s/g];

/** Does `work` on the whole text or, where it is too long for the room, on halves of it, in order. */
export async function inParts<T>(text: string, work: (part: string) => Promise<T>): Promise<T[]> {
  try {
    return [await work(text)];
  } catch (thrown) {
    if (!isTooLong(thrown) || text.length <= SHORTEST_PART_CHARS) throw thrown;
    const [left, right] = halves(text);
    const first = await inParts(left, work);
    return [...first, ...(await inParts(right, work))];
  }
}

/** Two parts of about the same length, cut between paragraphs, lines, sentences or words if that can be. */
export function halves(text: string): [string, string] {
  const middle = Math.floor(text.length / 2);
  for (const boundary of BOUNDARIES) {
    const ends = [...text.matchAll(boundary)].map((match) => match.index + match[0].length);
    const inner = ends.filter((end) => end > text.length / 4 && end < (text.length * 3) / 4);
    if (inner.length > 0) {
      const nearest = inner.reduce((best, end) => (Math.abs(end - middle) < Math.abs(best - middle) ? end : best));
      return [text.slice(0, nearest), text.slice(nearest)];
    }
  }
  // Not through a character of two units.
  const cut = /[\uDC00-\uDFFF]/.test(text.charAt(middle)) ? middle + 1 : middle;
  return [text.slice(0, cut), text.slice(cut)];
}
