/** How the old backend's e-mail rules speak of characters: their classes, their names, their order. */

/** Thrown by the rules; its message is what the client is told. */
export class EmailError extends Error {}

// Names that Unicode gives to characters people paste by mistake; others are told by their number.
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

const codeOf = (letter: string): number => letter.codePointAt(0)!;

/** Text in Python's quotes. */
export const quotePython = (text: string): string =>
  text.includes("'") && !text.includes('"') ? `"${text}"` : `'${text.replaceAll("'", "\\'")}'`;

/** `U+0041` */
export const numberOf = (letter: string): string =>
  `U+${codeOf(letter).toString(16).toUpperCase().padStart(4, "0")}`;

/** A character as a message shows it: quoted where it can be seen, else by its name. */
export function showCharacter(letter: string): string {
  if (letter === "\\") return '"\\"';
  if (/^[\p{L}\p{N}\p{P}\p{S}]$/u.test(letter)) return quotePython(letter);
  const code = codeOf(letter);
  const width = code < 0xffff ? 4 : 8;
  return names[code] ?? `U+${code.toString(16).toUpperCase().padStart(width, "0")}`;
}

/** By code points, as Python sorts. */
export function compareText(a: string, b: string): number {
  const left = [...a];
  const right = [...b];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = codeOf(left[i]!) - codeOf(right[i]!);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** The characters that fail a test, each once, as a message lists them; empty where none does. */
export function listBad(text: string, isGood: (letter: string) => boolean): string {
  const bad = new Set([...text].filter((letter) => !isGood(letter)).map(showCharacter));
  return [...bad].sort(compareText).join(", ");
}

/** Refuses what makes text unsafe: separators, controls, formats, a combining mark in front. */
export function checkUnsafe(text: string, { allowSpace = false } = {}): void {
  const bad = new Set<string>();
  [...text].forEach((letter, index) => {
    const isSafe = /^[\p{L}\p{N}\p{P}\p{S}]$/u.test(letter) ||
      index > 0 && /^\p{M}$/u.test(letter) || allowSpace && /^\p{Zs}$/u.test(letter);
    if (!isSafe) bad.add(letter);
  });
  if (bad.size === 0) return;
  const shown = [...bad].sort(compareText).map(showCharacter).join(", ");
  throw new EmailError(`The email address contains unsafe characters: ${shown}.`);
}

/** Refuses dots, and hyphens of a host, where an address may have none. */
export function checkDots(text: string, start: string, end: string, isHost: boolean): void {
  const fail = (template: string, what: string) => {
    throw new EmailError(template.replace("{}", what));
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

/** `(3 characters too many)` */
export function excess(length: number, most: number): string {
  const over = length - most;
  return `(${over} character${over > 1 ? "s" : ""} too many)`;
}
