/** Character classes and messages that the e-mail rules share. */
import { characterNames } from "./character_names.ts";

/** A violated e-mail rule. Its message is part of the response. */
export class EmailError extends Error {}

const codePointOf = (character: string): number => character.codePointAt(0)!;

/** Escapes a character that Python does not print: `\n`, `\x80`, `\u200b`, `\U000e0001`. */
function escapePython(character: string): string {
  const code = codePointOf(character);
  const hex = code.toString(16);
  if (code > 0xffff) return `\\U${hex.padStart(8, "0")}`;
  if (code > 0xff) return `\\u${hex.padStart(4, "0")}`;
  const short = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" }[character];
  return short ?? `\\x${hex.padStart(2, "0")}`;
}

/** Quotes a text as Python's `repr` does. */
export function quotePython(text: string): string {
  const escaped = text.replace(/[\\\p{C}\p{Z}]/gu, (found) => found === " " ? found : escapePython(found));
  return text.includes("'") && !text.includes('"') ? `"${escaped}"` : `'${escaped.replaceAll("'", "\\'")}'`;
}

/** Formats a character's code point, such as `U+0041`. */
export const formatCodePoint = (character: string): string =>
  `U+${codePointOf(character).toString(16).toUpperCase().padStart(4, "0")}`;

/** Returns a character as messages show it: visible characters in quotes, others by name or code point. */
export function describeCharacter(character: string): string {
  if (character === "\\") return '"\\"';
  if (/^[\p{L}\p{N}\p{P}\p{S}]$/u.test(character)) return quotePython(character);
  const code = codePointOf(character);
  const width = code < 0xffff ? 4 : 8;
  return characterNames[code] ?? `U+${code.toString(16).toUpperCase().padStart(width, "0")}`;
}

/** Compares two texts by code points, as Python sorts. */
export function compareText(a: string, b: string): number {
  const left = [...a];
  const right = [...b];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = codePointOf(left[i]!) - codePointOf(right[i]!);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** Returns a sorted list of the characters that fail a test, or an empty string. */
export function listDisallowed(text: string, isAllowed: (character: string) => boolean): string {
  const bad = new Set([...text].filter((character) => !isAllowed(character)).map(describeCharacter));
  return [...bad].sort(compareText).join(", ");
}

/** Rejects separators, control characters, format characters, and a combining mark at the start. */
export function checkUnsafe(text: string, { allowSpace = false } = {}): void {
  const bad = new Set<string>();
  [...text].forEach((character, index) => {
    const isSafe = /^[\p{L}\p{N}\p{P}\p{S}]$/u.test(character) ||
      index > 0 && /^\p{M}$/u.test(character) || allowSpace && /^\p{Zs}$/u.test(character);
    if (!isSafe) bad.add(character);
  });
  if (bad.size === 0) return;
  const shown = [...bad].sort(compareText).map(describeCharacter).join(", ");
  throw new EmailError(`The email address contains unsafe characters: ${shown}.`);
}

/**
 * Rejects periods, and in host names hyphens, at the start, at the end and next to each other.
 *
 * @param start message for the start, with `{}` for the character
 * @param end message for the end, with `{}` for the character
 */
export function checkDots(text: string, start: string, end: string, isHost: boolean): void {
  const fail = (template: string, character: string) => {
    throw new EmailError(template.replace("{}", character));
  };
  if (text.endsWith(".")) fail(end, "period");
  if (text.startsWith(".")) fail(start, "period");
  if (text.includes("..")) throw new EmailError("An email address cannot have two periods in a row.");
  if (!isHost) return;
  if (text.endsWith("-")) fail(end, "hyphen");
  if (text.startsWith("-")) fail(start, "hyphen");
  if (text.includes(".-") || text.includes("-.")) {
    throw new EmailError("An email address cannot have a period and a hyphen next to each other.");
  }
}

/** Returns a text such as `(3 characters too many)`. */
export function describeExcess(length: number, lengthMax: number): string {
  const over = length - lengthMax;
  return `(${over} character${over > 1 ? "s" : ""} too many)`;
}
