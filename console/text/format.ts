/** Numbers, dates, durations and plurals in the language in use, by `Intl`. */
import { getLocale } from "./language.ts";

const cache = new Map<string, unknown>();

/** Returns a formatter that was made before for this language and these options. */
function cached<T>(kind: string, options: object, make: (locale: string) => T): T {
  const locale = getLocale();
  const key = `${kind} ${locale} ${JSON.stringify(options)}`;
  const found = cache.get(key) as T | undefined ?? make(locale);
  cache.set(key, found);
  return found;
}

const numbers = (options: Intl.NumberFormatOptions) =>
  cached("number", options, (locale) => new Intl.NumberFormat(locale, options));

/** 12,345 · at most `digits` digits after the point. */
export const formatNumber = (value: number, digits = 0): string =>
  numbers({ maximumFractionDigits: digits }).format(value);

/** 3.42: exactly `digits` digits after the point. */
export const formatFixed = (value: number, digits: number): string =>
  numbers({ minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

/** +0.42, 0.00, -1.30: a difference, with its sign. */
export const formatSigned = (value: number, digits: number): string =>
  numbers({
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    signDisplay: "exceptZero",
  }).format(value);

const percent = (share: number, digits: number): string =>
  numbers({ style: "percent", maximumFractionDigits: digits }).format(share);

/** A share from 0 to 1 as 37 %. 0 % and 100 % mean none and all: near them it has one digit, or reads <0.1 %. */
export function formatPercent(share: number): string {
  if (share > 0 && share < 0.001) return `<${percent(0.001, 1)}`;
  if (share > 0.999 && share < 1) return `>${percent(0.999, 1)}`;
  return percent(share, share < 0.01 || share > 0.99 ? 1 : 0);
}

/** Returns the form for a count: `plural(n, "cell", "cells")`. */
export const plural = (count: number, one: string, other: string): string =>
  cached("plural", {}, (locale) => new Intl.PluralRules(locale)).select(count) === "one" ? one : other;

/** 3 cells · the number and the form for it. */
export const counted = (count: number, one: string, other: string): string =>
  `${formatNumber(count)} ${plural(count, one, other)}`;

const dates = (options: Intl.DateTimeFormatOptions) =>
  cached("date", options, (locale) => new Intl.DateTimeFormat(locale, options));

/** Date and time in the browser's time zone. */
export const formatTime = (iso: string | number | Date): string =>
  dates({ dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));

/** Date, time and seconds. */
export const formatExactTime = (iso: string | number | Date): string =>
  dates({ dateStyle: "medium", timeStyle: "medium" }).format(new Date(iso));

const secondsOfUnit: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** 3 min ago, in 2 days · `seconds` from now, negative in the past. */
export function formatRelative(seconds: number): string {
  const size = Math.abs(seconds);
  const [unit, length] = secondsOfUnit.find(([, length]) => size >= length * 0.95) ?? ["second", 1];
  const options = { numeric: "auto", style: "short" } as const;
  const format = cached("relative", options, (locale) => new Intl.RelativeTimeFormat(locale, options));
  return format.format(Math.round(seconds / length) || 0, unit);
}

const unit = (value: number, name: string): string =>
  numbers({ style: "unit", unit: name, unitDisplay: "short", maximumFractionDigits: 0 }).format(value);

/** 2 h 5 min: at most two units. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return unit(whole, "second");
  if (whole < 3600) {
    const rest = whole < 600 ? whole % 60 : 0;
    return unit(Math.floor(whole / 60), "minute") + (rest > 0 ? ` ${unit(rest, "second")}` : "");
  }
  const [large, small, length, part] = whole < 86_400
    ? ["hour", "minute", 3600, 60] as const
    : ["day", "hour", 86_400, 3600] as const;
  const rest = Math.floor(whole % length / part);
  return unit(Math.floor(whole / length), large) + (rest > 0 ? ` ${unit(rest, small)}` : "");
}

/** Rounds an estimate to whole minutes from two minutes on. */
const roundEstimate = (seconds: number): number => seconds < 120 ? seconds : Math.round(seconds / 60) * 60;

/** 4 min – 7 min: a range of estimates, and once if both ends read the same. */
export function formatDurationRange(low: number, high: number): string {
  const from = formatDuration(roundEstimate(low));
  const to = formatDuration(roundEstimate(high));
  return from === to ? from : `${from} – ${to}`;
}

const byteUnits = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

/** 3.4 MB, in powers of 1,000. */
export function formatBytes(bytes: number): string {
  const step = Math.min(byteUnits.length - 1, bytes < 1000 ? 0 : Math.floor(Math.log10(bytes) / 3));
  const options: Intl.NumberFormatOptions = {
    style: "unit",
    unit: byteUnits[step]!,
    unitDisplay: step === 0 ? "long" : "short",
    maximumSignificantDigits: 3,
  };
  return numbers(options).format(bytes / 1000 ** step);
}

/** a, b and c */
export const formatList = (items: readonly string[]): string =>
  cached("list", {}, (locale) => new Intl.ListFormat(locale, { style: "short" })).format(items);
