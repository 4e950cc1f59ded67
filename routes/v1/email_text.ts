/** Character classes, names and messages that the e-mail rules share. */

/** A violated e-mail rule. Its message is part of the response. */
export class EmailError extends Error {}

// Unicode names of invisible characters that text often contains by mistake. Other characters appear by code
// point.
const names: Record<number, string> = {
  0x20: "SPACE",
  0xa0: "NO-BREAK SPACE",
  0xad: "SOFT HYPHEN",
  0x1680: "OGHAM SPACE MARK",
  0x2000: "EN QUAD",
  0x2001: "EM QUAD",
  0x2002: "EN SPACE",
  0x2003: "EM SPACE",
  0x2004: "THREE-PER-EM SPACE",
  0x2005: "FOUR-PER-EM SPACE",
  0x2006: "SIX-PER-EM SPACE",
  0x2007: "FIGURE SPACE",
  0x2008: "PUNCTUATION SPACE",
  0x2009: "THIN SPACE",
  0x200a: "HAIR SPACE",
  0x200b: "ZERO WIDTH SPACE",
  0x200c: "ZERO WIDTH NON-JOINER",
  0x200d: "ZERO WIDTH JOINER",
  0x200e: "LEFT-TO-RIGHT MARK",
  0x200f: "RIGHT-TO-LEFT MARK",
  0x2028: "LINE SEPARATOR",
  0x2029: "PARAGRAPH SEPARATOR",
  0x202a: "LEFT-TO-RIGHT EMBEDDING",
  0x202b: "RIGHT-TO-LEFT EMBEDDING",
  0x202c: "POP DIRECTIONAL FORMATTING",
  0x202d: "LEFT-TO-RIGHT OVERRIDE",
  0x202e: "RIGHT-TO-LEFT OVERRIDE",
  0x202f: "NARROW NO-BREAK SPACE",
  0x205f: "MEDIUM MATHEMATICAL SPACE",
  0x2060: "WORD JOINER",
  0x2066: "LEFT-TO-RIGHT ISOLATE",
  0x2067: "RIGHT-TO-LEFT ISOLATE",
  0x2068: "FIRST STRONG ISOLATE",
  0x2069: "POP DIRECTIONAL ISOLATE",
  0x300: "COMBINING GRAVE ACCENT",
  0x301: "COMBINING ACUTE ACCENT",
  0x302: "COMBINING CIRCUMFLEX ACCENT",
  0x303: "COMBINING TILDE",
  0x308: "COMBINING DIAERESIS",
  0x338: "COMBINING LONG SOLIDUS OVERLAY",
  0x3000: "IDEOGRAPHIC SPACE",
  0xfe0e: "VARIATION SELECTOR-15",
  0xfe0f: "VARIATION SELECTOR-16",
  0xfeff: "ZERO WIDTH NO-BREAK SPACE",
};

const codePointOf = (character: string): number => character.codePointAt(0)!;

/** Quotes a text as Python's `repr` does. */
export const quotePython = (text: string): string =>
  text.includes("'") && !text.includes('"') ? `"${text}"` : `'${text.replaceAll("'", "\\'")}'`;

/** Formats a character's code point, such as `U+0041`. */
export const formatCodePoint = (character: string): string =>
  `U+${codePointOf(character).toString(16).toUpperCase().padStart(4, "0")}`;

/** Returns a character as messages show it: visible characters in quotes, others by name or code point. */
export function describeCharacter(character: string): string {
  if (character === "\\") return '"\\"';
  if (/^[\p{L}\p{N}\p{P}\p{S}]$/u.test(character)) return quotePython(character);
  const code = codePointOf(character);
  const width = code < 0xffff ? 4 : 8;
  return names[code] ?? `U+${code.toString(16).toUpperCase().padStart(width, "0")}`;
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
