/** IDNA 2008 for labels (RFC 5892 and 5893) with the mapping of UTS 46, in the words of the old backend's library. */
import { domainToASCII, domainToUnicode } from "node:url";
import { numberOf, quotePython } from "./email_text.ts";

/** A label behind the name keeps a name of digits from being read as an IP address. */
const guard = ".guard";
/** Empty where the name cannot be written in ASCII. */
export const toAscii = (domain: string): string => domainToASCII(domain + guard).slice(0, -guard.length);
const toUnicode = (domain: string): string => domainToUnicode(domain + guard).slice(0, -guard.length);

export class IdnaError extends Error {}

const alwaysValid = "\u00df\u03c2\u06fd\u06fe\u0f0b\u3007";
const neverValid = "\u0640\u07fa\u302e\u302f\u3031\u3032\u3033\u3034\u3035\u303b";
const fold = (text: string) => text.normalize("NFKC").toLowerCase().normalize("NFKC");
const oldHangul = /^[\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7fb]$/;

/** Whether a label may hold this character anywhere. */
function isLabelLetter(letter: string): boolean {
  if (alwaysValid.includes(letter) || /^[-a-z0-9]$/.test(letter)) return true;
  if (neverValid.includes(letter)) return false;
  return /^[\p{Ll}\p{Lu}\p{Lo}\p{Nd}\p{Lm}\p{Mn}\p{Mc}]$/u.test(letter) && fold(letter) === letter &&
    !/^\p{Default_Ignorable_Code_Point}$/u.test(letter) && !oldHangul.test(letter);
}

type Context = (letters: string[], at: number) => boolean;
const arabicDigits = /[\u0660-\u0669]/;
const persianDigits = /[\u06f0-\u06f9]/;
const afterHebrew: Context = (letters, at) => /^\p{Script=Hebrew}$/u.test(letters[at - 1] ?? "");

/** Characters that are good between certain others only. */
const contexts = new Map<string, Context>([
  ["\u00b7", (letters, at) => letters[at - 1] === "l" && letters[at + 1] === "l"],
  ["\u0375", (letters, at) => /^\p{Script=Greek}$/u.test(letters[at + 1] ?? "")],
  ["\u05f3", afterHebrew],
  ["\u05f4", afterHebrew],
  [
    "\u30fb",
    (letters) =>
      letters.some((letter) => /^[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]$/u.test(letter)),
  ],
]);

const isDigitMix = (letter: string, label: string) =>
  arabicDigits.test(letter) && persianDigits.test(label) ||
  persianDigits.test(letter) && arabicDigits.test(label);

type Direction = "L" | "R" | "AN" | "EN" | "NSM" | "other";

/** Bidirectional classes, as far as the rule tells them apart; AL counts as R. */
function directionOf(letter: string): Direction {
  if (/^[\u0660-\u0669\u066b\u066c]$/.test(letter)) return "AN";
  if (/^[0-9\u06f0-\u06f9]$/.test(letter)) return "EN";
  if (/^\p{Mn}$/u.test(letter)) return "NSM";
  const rtl =
    /^[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Samaritan}\p{Script=Mandaic}]$/u;
  if (rtl.test(letter)) return "R";
  return /^[\p{L}\p{Mc}\p{N}]$/u.test(letter) ? "L" : "other";
}

/** The Bidi Rule for one label; undefined where it holds or does not apply. */
function findBidiFault(label: string): string | undefined {
  const directions = [...label].map(directionOf);
  if (!directions.some((direction) => direction === "R" || direction === "AN")) return undefined;
  const first = directions[0];
  if (first !== "R" && first !== "L") {
    return `First codepoint in label ${quotePython(label)} must be directionality L, R or AL`;
  }
  const wrong = first === "R" ? ["L"] : ["R", "AN"];
  const at = directions.findIndex((direction) => wrong.includes(direction));
  const kind = first === "R" ? "right-to-left" : "left-to-right";
  if (at >= 0) return `Invalid direction for codepoint at position ${at + 1} in a ${kind} label`;
  const last = directions.findLast((direction) => direction !== "NSM");
  return last === "other" ? "Label ends with illegal codepoint directionality" : undefined;
}

/** What is wrong with a label in Unicode; undefined where nothing is. */
function findLabelFault(label: string): string | undefined {
  if (label.slice(2, 4) === "--") return "Label has disallowed hyphens in 3rd and 4th position";
  if (/^\p{M}/u.test(label)) return "Label begins with an illegal combining character";
  const letters = [...label];
  for (const [at, letter] of letters.entries()) {
    const where = `at position ${at + 1}`;
    if (letter === "\u200c" || letter === "\u200d") {
      if (toAscii(label) !== "") continue;
      return `Joiner ${numberOf(letter)} not allowed ${where} in ${quotePython(label)}`;
    }
    const context = contexts.get(letter);
    if (context ? !context(letters, at) : isDigitMix(letter, label)) {
      return `Codepoint ${numberOf(letter)} not allowed ${where} in ${quotePython(label)}`;
    }
    if (!context && !isLabelLetter(letter)) {
      return `Codepoint ${numberOf(letter)} ${where} of ${quotePython(label)} not allowed`;
    }
  }
  return findBidiFault(label);
}

/** What a character becomes; undefined for one that no name holds. */
function mapLetter(letter: string): string | undefined {
  if (letter <= "\x7f" || letter === "\u200c" || letter === "\u200d") return letter.toLowerCase();
  if (/^\p{M}$/u.test(letter)) return /^\p{Default_Ignorable_Code_Point}$/u.test(letter) ? "" : fold(letter);
  const ascii = toAscii(`a${letter}a`);
  if (ascii !== "") return toUnicode(ascii).slice(1, -1);
  return /^[\p{L}\p{N}]$/u.test(letter) ? fold(letter) : undefined;
}

/**
 * Lower case, NFC, and all that UTS 46 maps.
 *
 * @throws IdnaError
 */
export function remap(domain: string): string {
  // deno-lint-ignore no-control-regex -- ASCII is what it asks for
  if (/^[\x00-\x7f]*$/.test(domain)) return domain.toLowerCase();
  const letters = [...domain];
  const mapped = letters.map(mapLetter);
  const at = mapped.indexOf(undefined);
  if (at >= 0) {
    throw new IdnaError(
      `Codepoint ${numberOf(letters[at]!)} not allowed at position ${at + 1} in ${quotePython(domain)}`,
    );
  }
  return mapped.join("").normalize("NFC");
}

const labelLengthMax = 63;

/** @throws IdnaError */
export function encodeDomain(domain: string): string {
  for (const label of domain.split(".")) {
    // deno-lint-ignore no-control-regex -- ASCII is what it asks for
    const isAscii = /^[\x00-\x7f]*$/.test(label);
    if (isAscii) decodeDomain(label);
    const fault = isAscii ? undefined : findLabelFault(label);
    if (fault) throw new IdnaError(fault);
  }
  const ascii = toAscii(domain);
  if (ascii === "") throw new IdnaError("Invalid A-label");
  if (ascii.split(".").some((label) => label.length > labelLengthMax)) throw new IdnaError("Label too long");
  return ascii;
}

function findAsciiFault(label: string): string | undefined {
  if (!label.startsWith("xn--")) return undefined;
  if (label === "xn--") return "Malformed A-label, no Punycode eligible content found";
  return label.endsWith("-") ? "A-label must not end with a hyphen" : undefined;
}

/** A name in ASCII as it reads. @throws IdnaError */
export function decodeDomain(ascii: string): string {
  if (!ascii.includes("xn--")) return ascii;
  const early = ascii.split(".").map(findAsciiFault).find((found) => found !== undefined);
  if (early) throw new IdnaError(early);
  const domain = toUnicode(ascii);
  if (domain === "" || domain.includes("\ufffd")) throw new IdnaError("Invalid A-label");
  const fault = domain.split(".").map(findLabelFault).find((found) => found !== undefined);
  if (fault) throw new IdnaError(fault);
  if (toAscii(domain) !== ascii) throw new IdnaError("Invalid A-label");
  return domain;
}
