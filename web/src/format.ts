// Numbers as people read them.
import { say } from "./strings";

/** Bytes in MB or GB of 10^6 and 10^9. */
export function bytes(count: number): string {
  const giga = count >= 1e9;
  const options: Intl.NumberFormatOptions = {
    style: "unit",
    unit: giga ? "gigabyte" : "megabyte",
    maximumFractionDigits: giga || count < 10e6 ? 1 : 0,
  };
  return new Intl.NumberFormat(say.locale, options).format(count / (giga ? 1e9 : 1e6));
}

/** A number with few digits. */
export function short(value: number): string {
  return new Intl.NumberFormat(say.locale, { maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);
}
