/**
 * Times in PostgreSQL's output form (ISO, UTC), computed from milliseconds and independent of any time zone.
 */

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
 * Returns a time in PostgreSQL's output form: `2025-04-02 21:16:51.114+00`, without trailing zeros, and with
 * ` BC` before year 1.
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

/** Parts of a time as texts; undefined where the text has none. */
interface TimeParts {
  year: string;
  month: string;
  day: string;
  hour: string;
  minute: string;
  second?: string | undefined;
  fraction?: string | undefined;
  /** `Z`, or a sign with hours and perhaps minutes. */
  zone?: string | undefined;
}

/** Maximum hours and minutes of a time zone's offset. */
interface OffsetMax {
  hours: number;
  minutes: number;
}

/** Returns a time in milliseconds, or undefined if the calendar has no such day or the clock no such time. */
function toMs(parts: TimeParts, offsetMax: OffsetMax): number | undefined {
  const month = Number(parts.month) - 1;
  const day = Number(parts.day);
  const hour = Number(parts.hour);
  const minute = Number(parts.minute);
  const second = Number(parts.second ?? "0");
  const date = new Date(0);
  date.setUTCFullYear(Number(parts.year), month, day);
  if (date.getUTCMonth() !== month || date.getUTCDate() !== day) return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  date.setUTCHours(hour, minute, second, Number((parts.fraction ?? "").padEnd(3, "0").slice(0, 3)));
  const zone = parts.zone ?? "Z";
  if (zone === "Z") return date.getTime();
  const offset = { hours: Number(zone.slice(1, 3)), minutes: zone.length > 3 ? Number(zone.slice(-2)) : 0 };
  if (offset.hours > offsetMax.hours || offset.minutes > offsetMax.minutes) return undefined;
  const minutes = offset.hours * 60 + offset.minutes;
  return date.getTime() - (zone[0] === "-" ? -1 : 1) * minutes * 60_000;
}

/**
 * What a text says about a time: milliseconds; `nonexistent` for a day or a clock time that does not exist,
 * such as 30 February, 24:00:00 or a leap second; undefined if the text is no date.
 */
export type ParsedTime = number | "nonexistent" | undefined;

function readParts(pattern: RegExp, text: string, offsetMax: OffsetMax): ParsedTime {
  const parts = pattern.exec(text)?.groups;
  return parts && (toMs(parts as unknown as TimeParts, offsetMax) ?? "nonexistent");
}

const dayPattern = /(?<year>\d{4})-(?<month>\d\d)-(?<day>\d\d)/.source;
const isoText = new RegExp(
  `^${dayPattern}[T ](?<hour>\\d\\d):(?<minute>\\d\\d)(?::(?<second>\\d\\d)(?:[.,](?<fraction>\\d{1,9}))?)?` +
    "\\s*(?<zone>Z|[+-]\\d\\d(?::?\\d\\d)?)?$",
);
const dateTag = new RegExp(
  `^${dayPattern}T(?<hour>\\d\\d?):(?<minute>\\d\\d):(?<second>\\d\\d)(?:[.,](?<fraction>\\d+))?` +
    "(?<zone>Z|[+-]\\d\\d:?\\d\\d)$",
);

/**
 * Parses a date that is stored as text. Without a zone it is UTC, as in the old backend.
 *
 * @example
 * ```ts
 * import { readIsoText } from "./times.ts";
 * if (readIsoText("2025-05-13T15:40:46+08:00") !== readIsoText("2025-05-13 07:40:46")) throw new Error("zone");
 * if (readIsoText("2025-02-30T00:00:00") !== "nonexistent") throw new Error("30 February");
 * ```
 */
export const readIsoText = (text: string): ParsedTime => readParts(isoText, text, { hours: 23, minutes: 59 });

/**
 * Parses the text of `{"$date":"…"}` exactly as mongoimport does, that is by Go's `time.Parse` with the
 * layouts `2006-01-02T15:04:05.999Z07:00` and `2006-01-02T15:04:05.999Z0700`. It accepts one digit for the
 * hour, a comma before the fraction, any number of fractional digits, and offsets up to 24:60. It rejects
 * days that do not exist, 24:00:00, leap seconds, single digits elsewhere, missing seconds, offsets of two
 * digits, years of other than four digits, lower-case letters and spaces.
 *
 * @example
 * ```ts
 * import { readDateTag } from "./times.ts";
 * if (readDateTag("2025-04-02T7:00:00+0800") !== Date.UTC(2025, 3, 1, 23)) throw new Error("one digit, no colon");
 * if (readDateTag("2025-04-02T07:00Z") !== undefined) throw new Error("no seconds");
 * ```
 */
export const readDateTag = (text: string): ParsedTime => readParts(dateTag, text, { hours: 24, minutes: 60 });
