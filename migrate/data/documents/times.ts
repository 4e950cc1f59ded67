/** Times in PostgreSQL's output form (ISO, UTC), computed from milliseconds and independent of any time zone. */

// 4714-11-24 BC, the minimum of timestamptz, and the maximum of a JavaScript date in the year 275760.
const minMs = -210866803200000;
const maxMs = 8.64e15;

/** Reports whether a column can hold the time. */
export const isInRange = (ms: number | bigint): ms is number =>
  typeof ms === "number" && ms >= minMs && ms <= maxMs;

/** Returns the nearest time that a column can hold. */
export const clamp = (ms: number | bigint): number => ms < minMs ? minMs : ms > maxMs ? maxMs : Number(ms);

const pad = (value: number, width: number) => String(value).padStart(width, "0");

/**
 * Returns a time in PostgreSQL's output form: `2025-04-02 21:16:51.114+00`, without trailing zeros, with ` BC` before
 * year 1.
 *
 * @param ms must be in range, see isInRange()
 */
export function writeTime(ms: number): string {
  const date = new Date(ms);
  const year = date.getUTCFullYear();
  const shown = year > 0 ? year : 1 - year;
  const fraction = date.getUTCMilliseconds();
  const day = `${pad(shown, 4)}-${pad(date.getUTCMonth() + 1, 2)}-${pad(date.getUTCDate(), 2)}`;
  const clock = `${pad(date.getUTCHours(), 2)}:${pad(date.getUTCMinutes(), 2)}:${
    pad(date.getUTCSeconds(), 2)
  }`;
  const decimals = fraction === 0 ? "" : `.${pad(fraction, 3).replace(/0+$/, "")}`;
  return `${day} ${clock}${decimals}+00${year > 0 ? "" : " BC"}`;
}

const outputForm = /^(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?\+00( BC)?$/;

/** Parses the text of writeTime() or PostgreSQL. Returns undefined for any other text, such as `infinity`. */
export function readTime(text: string): number | undefined {
  const [, year, month, day, hour, minute, second, fraction = "0", bc] = outputForm.exec(text) ?? [];
  if (year === undefined) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(bc ? 1 - Number(year) : Number(year), Number(month) - 1, Number(day));
  date.setUTCHours(Number(hour), Number(minute), Number(second), Number(fraction.padEnd(3, "0").slice(0, 3)));
  return date.getTime();
}

const isoText =
  /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?$/;

/**
 * Parses a date that is stored as text. Without a zone it is UTC, as in the old backend.
 *
 * @example
 * ```ts
 * import { readIsoText } from "./times.ts";
 * if (readIsoText("2025-05-13T15:40:46+08:00") !== readIsoText("2025-05-13 07:40:46")) throw new Error("zone");
 * ```
 */
export function readIsoText(text: string): number | undefined {
  const parts = isoText.exec(text) ?? [];
  const [, year, month, day, hour, minute, second = "0", fraction = "0", zone = "Z"] = parts;
  if (year === undefined) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  if (date.getUTCMonth() !== Number(month) - 1 || Number(hour) > 24 || Number(minute) > 59) return undefined;
  date.setUTCHours(Number(hour), Number(minute), Number(second), Number(fraction.padEnd(3, "0").slice(0, 3)));
  if (zone === "Z") return date.getTime();
  const sign = zone[0] === "-" ? -1 : 1;
  const zoneMinutes = Number(zone.slice(1, 3)) * 60 + (zone.length > 3 ? Number(zone.slice(-2)) : 0);
  return date.getTime() - sign * zoneMinutes * 60_000;
}
