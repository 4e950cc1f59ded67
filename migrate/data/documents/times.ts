/** Times as PostgreSQL writes them (ISO, UTC), by arithmetic on milliseconds: no session's zone has a say. */

// 4714-11-24 BC and the last instant that JavaScript's calendar reaches (year 275760), both within timestamptz.
const leastMs = -210866803200000;
const mostMs = 8.64e15;

/** True for what a column can hold. */
export const isInRange = (ms: number | bigint): ms is number =>
  typeof ms === "number" && ms >= leastMs && ms <= mostMs;

/** The nearest instant a column can hold. */
export const clamp = (ms: number | bigint): number =>
  ms < leastMs ? leastMs : ms > mostMs ? mostMs : Number(ms);

const pad = (value: number, width: number) => String(value).padStart(width, "0");

/**
 * An instant as PostgreSQL prints it: `2025-04-02 21:16:51.114+00`, no trailing zeros, ` BC` before year 1.
 *
 * @param ms within range, see isInRange()
 */
export function writeTime(ms: number): string {
  const date = new Date(ms);
  const year = date.getUTCFullYear();
  const shown = year > 0 ? year : 1 - year;
  const fraction = date.getUTCMilliseconds();
  const tail = fraction === 0 ? "" : `.${pad(fraction, 3).replace(/0+$/, "")}`;
  return `${pad(shown, 4)}-${pad(date.getUTCMonth() + 1, 2)}-${pad(date.getUTCDate(), 2)} ` +
    `${pad(date.getUTCHours(), 2)}:${pad(date.getUTCMinutes(), 2)}:${
      pad(date.getUTCSeconds(), 2)
    }${tail}+00` +
    (year > 0 ? "" : " BC");
}

const printed = /^(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?\+00( BC)?$/;

/** Milliseconds of what writeTime() or PostgreSQL printed; undefined for anything else (`infinity`). */
export function readTime(text: string): number | undefined {
  const [, year, month, day, hour, minute, second, fraction = "0", bc] = printed.exec(text) ?? [];
  if (year === undefined) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(bc ? 1 - Number(year) : Number(year), Number(month) - 1, Number(day));
  date.setUTCHours(Number(hour), Number(minute), Number(second), Number(fraction.padEnd(3, "0").slice(0, 3)));
  return date.getTime();
}

const isoText =
  /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?$/;

/**
 * Milliseconds of a date kept as text; without a zone it is UTC, as the old backend meant it.
 *
 * @example
 * ```ts
 * import { readIsoText } from "./times.ts";
 * if (readIsoText("2025-05-13T15:40:46+08:00") !== readIsoText("2025-05-13 07:40:46")) throw new Error("zone");
 * ```
 */
export function readIsoText(text: string): number | undefined {
  const [, year, month, day, hour, minute, second = "0", fraction = "0", zone = "Z"] = isoText.exec(text) ??
    [];
  if (year === undefined) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  if (date.getUTCMonth() !== Number(month) - 1 || Number(hour) > 24 || Number(minute) > 59) return undefined;
  date.setUTCHours(Number(hour), Number(minute), Number(second), Number(fraction.padEnd(3, "0").slice(0, 3)));
  if (zone === "Z") return date.getTime();
  const sign = zone[0] === "-" ? 1 : -1;
  return date.getTime() +
    sign * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2) && zone.length > 3 ? zone.slice(-2) : 0)) *
      60_000;
}
