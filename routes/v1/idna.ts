/**
 * IDNA 2008 (RFC 5891 to 5893) with the mapping of UTS 46, and with the messages of Python's idna package.
 */
import { domainToASCII, domainToUnicode } from "node:url";
import punycode from "node:punycode";
import bidiFactory from "bidi-js";
import { formatCodePoint, quotePython } from "./email_text.ts";

/** A label that is appended to a domain, so that the URL parser does not read digits as an IP address. */
const guard = ".guard";
/** Converts a domain to ASCII. Returns an empty string if it has no ASCII form. */
export const toAscii = (domain: string): string => domainToASCII(domain + guard).slice(0, -guard.length);
const toUnicode = (domain: string): string => domainToUnicode(domain + guard).slice(0, -guard.length);

// deno-lint-ignore no-control-regex -- ASCII includes control characters
const isAscii = (text: string): boolean => /^[\x00-\x7f]*$/.test(text);

/** A violated IDNA rule, with idna's message. */
export class IdnaError extends Error {}

// RFC 5892: the exceptions PVALID and DISALLOWED (section 2.6), and OldHangulJamo (section 2.9).
const alwaysValid = "\u00df\u03c2\u06fd\u06fe\u0f0b\u3007";
const neverValid = "\u0640\u07fa\u302e\u302f\u3031\u3032\u3033\u3034\u3035\u303b";
const fold = (text: string) => text.normalize("NFKC").toLowerCase().normalize("NFKC");
/** The blocks that RFC 5892 ignores (section 2.4). */
const ignorableBlock = /^[\u20d0-\u20ff\u{1d100}-\u{1d24f}]$/u;
const oldHangul = /^[\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7fb]$/;

/** Reports whether a character is PVALID (RFC 5892): valid anywhere in a label. */
function isLabelCharacter(character: string): boolean {
  if (alwaysValid.includes(character) || /^[-a-z0-9]$/.test(character)) return true;
  if (neverValid.includes(character)) return false;
  return /^[\p{Ll}\p{Lu}\p{Lo}\p{Nd}\p{Lm}\p{Mn}\p{Mc}]$/u.test(character) && fold(character) === character &&
    !/^\p{Default_Ignorable_Code_Point}$/u.test(character) && !oldHangul.test(character) &&
    !ignorableBlock.test(character);
}

/** A rule for the neighbours of the character at `index`. */
type Context = (characters: string[], index: number) => boolean;
const arabicDigits = /[\u0660-\u0669]/;
const extendedArabicDigits = /[\u06f0-\u06f9]/;
const followsHebrew: Context = (characters, index) =>
  /^\p{Script=Hebrew}$/u.test(characters[index - 1] ?? "");

/** Characters that are CONTEXTO (RFC 5892, appendix A), with their rules. */
const contexts = new Map<string, Context>([
  ["\u00b7", (characters, index) => characters[index - 1] === "l" && characters[index + 1] === "l"],
  ["\u0375", (characters, index) => /^\p{Script=Greek}$/u.test(characters[index + 1] ?? "")],
  ["\u05f3", followsHebrew],
  ["\u05f4", followsHebrew],
  [
    "\u30fb",
    (characters) =>
      characters.some((character) =>
        /^[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]$/u.test(character)
      ),
  ],
]);

/** Reports whether a label mixes Arabic-Indic and Extended Arabic-Indic digits. */
const isDigitMix = (character: string, label: string) =>
  arabicDigits.test(character) && extendedArabicDigits.test(label) ||
  extendedArabicDigits.test(character) && arabicDigits.test(label);

// The package is CommonJS: its types describe the export as `default`, and Deno imports the function itself.
const bidi = (bidiFactory as unknown as typeof bidiFactory.default)();

/** Checks RFC 5893, the Bidi Rule, for one label. Returns the fault, or undefined. */
function findBidiFault(label: string): string | undefined {
  // Characters that are newer than the package's data get the class of their block.
  const classes = [...label].map((character) =>
    /^\p{Mn}$/u.test(character) ? "NSM" : bidi.getBidiCharTypeName(character)
  );
  if (!classes.some((name) => ["R", "AL", "AN"].includes(name))) return undefined;
  const isRtl = ["R", "AL"].includes(classes[0]!);
  if (!isRtl && classes[0] !== "L") {
    return `First codepoint in label ${quotePython(label)} must be directionality L, R or AL`;
  }
  // isLabelCharacter excludes the other classes that the rule forbids.
  const forbidden = isRtl ? ["L"] : ["R", "AL", "AN"];
  let numerals: string | undefined;
  for (const [index, name] of classes.entries()) {
    if (forbidden.includes(name)) {
      const kind = isRtl ? "right-to-left" : "left-to-right";
      return `Invalid direction for codepoint at position ${index + 1} in a ${kind} label`;
    }
    if (!isRtl || name !== "AN" && name !== "EN") continue;
    numerals ??= name;
    if (numerals !== name) return "Can not mix numeral types in a right-to-left label";
  }
  const last = classes.findLast((name) => name !== "NSM")!;
  const endings = isRtl ? ["R", "AL", "EN", "AN"] : ["L", "EN"];
  return endings.includes(last) ? undefined : "Label ends with illegal codepoint directionality";
}

/** Returns the first fault of a label in Unicode, or undefined. */
function findLabelFault(label: string): string | undefined {
  const characters = [...label];
  if (label.normalize("NFC") !== label) return "Label must be in Normalization Form C";
  if (characters.slice(2, 4).join("") === "--") return "Label has disallowed hyphens in 3rd and 4th position";
  if (/^-|-$/.test(label)) return "Label must not start or end with a hyphen";
  if (/^\p{M}/u.test(label)) return "Label begins with an illegal combining character";
  for (const [index, character] of characters.entries()) {
    const where = `at position ${index + 1}`;
    if (character === "\u200c" || character === "\u200d") {
      if (toAscii(label) !== "") continue;
      return `Joiner ${formatCodePoint(character)} not allowed ${where} in ${quotePython(label)}`;
    }
    const context = contexts.get(character);
    if (context ? !context(characters, index) : isDigitMix(character, label)) {
      return `Codepoint ${formatCodePoint(character)} not allowed ${where} in ${quotePython(label)}`;
    }
    if (!context && !isLabelCharacter(character)) {
      return `Codepoint ${formatCodePoint(character)} ${where} of ${quotePython(label)} not allowed`;
    }
  }
  return findBidiFault(label);
}

/**
 * Characters that UTS 46 disallowed in the data of idna 3.10 and that the engine maps: capitals without a
 * small letter in Unicode 3.2, and letters that are not visible.
 */
const neverMapped = /^[\u04c0\u10a0-\u10c5\u115f\u1160\u17b4\u17b5\u2132\u2183\u3164\uffa0]$/;
/** A number with a full stop in one character, such as `⒈`. */
const numberWithStop = /^\d+\.$/;

/** Maps one character by UTS 46. Returns undefined if it is disallowed. */
function mapCharacter(character: string): string | undefined {
  if (character <= "\x7f" || character === "\u200c" || character === "\u200d") return character.toLowerCase();
  if (neverMapped.test(character) || numberWithStop.test(character.normalize("NFKD"))) return undefined;
  if (/^\p{M}$/u.test(character)) {
    return /^\p{Default_Ignorable_Code_Point}$/u.test(character) ? "" : fold(character);
  }
  // Latin letters around it for most characters, Hebrew letters for those of right-to-left scripts.
  for (const letter of ["a", "\u05d0"]) {
    const ascii = toAscii(letter + character + letter);
    if (ascii !== "") return toUnicode(ascii).slice(1, -1);
  }
  return /^[\p{L}\p{N}]$/u.test(character) ? fold(character) : undefined;
}

/**
 * Maps a domain by UTS 46, which includes lower case and NFC.
 *
 * @throws IdnaError if a character is disallowed
 */
export function remap(domain: string): string {
  if (isAscii(domain)) return domain.toLowerCase();
  const characters = [...domain];
  const mapped = characters.map(mapCharacter);
  const index = mapped.indexOf(undefined);
  if (index >= 0) {
    throw new IdnaError(
      `Codepoint ${formatCodePoint(characters[index]!)} not allowed at position ${index + 1} in ${
        quotePython(domain)
      }`,
    );
  }
  return mapped.join("").normalize("NFC");
}

const labelLengthMax = 63;

/**
 * Returns a domain in ASCII.
 *
 * @throws IdnaError if a label is invalid or too long
 */
export function encodeDomain(domain: string): string {
  return domain.split(".").map(encodeLabel).join(".");
}

const asciiPrefix = "xn--";

function encodeLabel(label: string): string {
  const fault = isAscii(label) ? undefined : findLabelFault(label);
  if (fault) throw new IdnaError(fault);
  const ascii = isAscii(label) ? label : asciiPrefix + punycode.encode(label);
  decodeLabel(ascii);
  if (ascii.length > labelLengthMax) throw new IdnaError("Label too long");
  return ascii;
}

function decodeLabel(label: string): string {
  if (!label.startsWith(asciiPrefix)) return label;
  const encoded = label.slice(asciiPrefix.length);
  if (encoded === "") throw new IdnaError("Malformed A-label, no Punycode eligible content found");
  if (encoded.endsWith("-")) throw new IdnaError("A-label must not end with a hyphen");
  let decoded: string;
  try {
    // A delimiter without characters before it is valid for Python, but not for this decoder.
    decoded = punycode.decode(encoded.replace(/^-(?=[^-]*$)/, ""));
  } catch (cause) {
    throw new IdnaError("Invalid A-label", { cause });
  }
  const fault = findLabelFault(decoded);
  if (fault) throw new IdnaError(fault);
  return decoded;
}

/**
 * Returns an ASCII domain in Unicode.
 *
 * @throws IdnaError if a label is invalid
 */
export const decodeDomain = (ascii: string): string => ascii.split(".").map(decodeLabel).join(".");
