/**
 * Validates and normalises e-mail addresses as the old backend's email-validator 2.2 did, with its messages.
 */
import type { Json } from "../../json.ts";
import { parseDomain, rejectLiteral } from "./email_domain.ts";
import {
  checkDots,
  checkUnsafe,
  describeCharacter,
  describeExcess,
  EmailError,
  listDisallowed,
} from "./email_text.ts";
import { type Faults, readUnicode } from "./pydantic.ts";
import { utf8Length } from "./query.ts";

/** Maximum length of the input in characters. */
const inputLengthMax = 2048;
/** Maximum length of an address in bytes. */
const lengthMax = 254;
/** Maximum length of the local part in characters, without its quotes. */
const localLengthMax = 64;

const atom = "a-zA-Z0-9_!#$%&'*+\\-/=?\\^`{|}~";
const atomDot = new RegExp(`^[.${atom}]$`);
const dotAtom = new RegExp(`^[${atom}]+(?:\\.[${atom}]+)*$`);
const atomDotIntl = new RegExp(`^[.${atom}\\u{80}-\\u{10ffff}]$`, "u");
const dotAtomIntl = new RegExp(`^[${atom}\\u{80}-\\u{10ffff}]+(?:\\.[${atom}\\u{80}-\\u{10ffff}]+)*$`, "u");
const quotedCharacter = /^[\u{20}-\u{7e}\u{80}-\u{10ffff}]$/u;

/** Mailbox names that are case-insensitive (RFC 2142). */
const caseInsensitiveMailboxes = new Set(
  ("info marketing sales support abuse noc security postmaster hostmaster usenet news webmaster www uucp ftp")
    .split(" "),
);

// White space of Python's \s and strip().
const space = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const surroundingSpace = new RegExp(`^[${space}]+|[${space}]+$`, "g");
const nameCharacter = "[\\p{L}\\p{N}_!#$%&'*+\\-/=?\\^`{|}~]";
/** `Name <address>`; the name may be quoted or absent. */
const nameAndAddress = new RegExp(
  `^[${space}]*(?:(?:${nameCharacter}+[${space}]+)*${nameCharacter}+|"[^]+")?[${space}]*<([^\\n]+)>[${space}]*$`,
  "u",
);

interface AddressParts {
  /** The unquoted name before the angle brackets; undefined if there are no angle brackets. */
  displayName?: string;
  local: string;
  domain: string;
}

/** Splits a text before the first unquoted character of `specials` that no combining mark follows. */
function splitAtSpecial(text: string, specials: string): [string, string] {
  const characters = [...text];
  let isInQuotes = false;
  let isEscaped = false;
  for (const [i, character] of characters.entries()) {
    if ([...characters.slice(i, i + 32).join("").normalize("NFC")][0] !== character) continue;
    if (isInQuotes) {
      if (character === '"' && !isEscaped) isInQuotes = false;
      isEscaped = character === "\\" && !isEscaped;
    } else if (character === '"') isInQuotes = true;
    else if (specials.includes(character)) {
      return [characters.slice(0, i).join(""), characters.slice(i).join("")];
    }
  }
  throw new EmailError("An email address must have an @-sign.");
}

/** Removes the quotes and escapes of a quoted text. */
function unquote(text: string): { text: string; isQuoted: boolean } {
  const characters = [...text];
  if (characters[0] !== '"') return { text, isQuoted: false };
  let value = "";
  for (let i = 1; i < characters.length; i++) {
    if (characters[i] === '"') {
      const after = characters.slice(i + 1).map(describeCharacter);
      if (after.length > 0) {
        throw new EmailError(`Extra character(s) found after close quote: ${after.join(", ")}`);
      }
      break;
    }
    if (characters[i] === "\\") i++;
    value += characters[i] ?? "";
  }
  return { text: value, isQuoted: true };
}

function splitAddress(email: string): AddressParts {
  const [left, right] = splitAtSpecial(email, "@<");
  if (!right.startsWith("<")) return { local: left, domain: right.slice(1) };
  const name = unquote(left.replace(new RegExp(`[${space}]+$`), ""));
  const bad = name.isQuoted
    ? ""
    : listDisallowed(name.text, (character) =>
      character === " " || character !== "." && atomDot.test(character));
  if (bad !== "") {
    throw new EmailError(`The display name contains invalid characters when not quoted: ${bad}.`);
  }
  checkUnsafe(name.text, { allowSpace: true });
  if (!right.includes(">")) {
    throw new EmailError(
      "An open angle bracket at the start of the email address has to be followed by a close angle bracket at the end.",
    );
  }
  const trimmed = right.replace(/ +$/, "");
  if (!trimmed.endsWith(">")) throw new EmailError("There can't be anything after the email address.");
  const [local, domain] = splitAtSpecial(trimmed.slice(1).replace(/>+$/, ""), "@");
  return { displayName: name.text, local, domain: domain.slice(1) };
}

/** Checks the unquoted local part, and returns it with the quotes that it needs. */
function checkLocal(local: string, isQuoted: boolean): string {
  if (local === "") throw new EmailError("There must be something before the @-sign.");
  const length = [...local].length;
  if (length > localLengthMax) {
    throw new EmailError(
      `The email address is too long before the @-sign ${describeExcess(length, localLengthMax)}.`,
    );
  }
  if (dotAtom.test(local)) return local;
  if (dotAtomIntl.test(local)) {
    checkUnsafe(local);
    return local;
  }
  if (isQuoted) {
    const bad = listDisallowed(local, (character) => quotedCharacter.test(character));
    if (bad !== "") {
      throw new EmailError(
        `The email address contains invalid characters in quotes before the @-sign: ${bad}.`,
      );
    }
    checkUnsafe(local, { allowSpace: true });
    return `"${local.replace(/(["\\])/g, "\\$1")}"`;
  }
  const bad = listDisallowed(local, (character) => atomDotIntl.test(character));
  if (bad !== "") {
    throw new EmailError(`The email address contains invalid characters before the @-sign: ${bad}.`);
  }
  checkDots(
    local,
    "An email address cannot start with a {}.",
    "An email address cannot have a {} immediately before the @-sign.",
    false,
  );
  throw new EmailError("The email address contains invalid characters before the @-sign.");
}

/** Parses the part before the @-sign. */
function parseLocal(source: string): string {
  const { text, isQuoted } = unquote(source);
  const local = checkLocal(text, isQuoted);
  const normal = local.normalize("NFC");
  if (normal !== local) {
    try {
      checkLocal(normal, isQuoted);
    } catch (error) {
      throw new EmailError(`After Unicode normalization: ${(error as Error).message}`);
    }
  }
  if (isQuoted) throw new EmailError("Quoting the part before the @-sign is not allowed here.");
  const isMailbox = normal === local && caseInsensitiveMailboxes.has(local.toLowerCase());
  return isMailbox ? local.toLowerCase() : normal;
}

/** Checks the length of an address as received, as stored, and with its domain in ASCII. */
function checkLength(original: string, local: string, domain: string, ascii: string): void {
  const forms: [string, string?][] = [
    [original],
    [`${local}@${domain}`, "after normalization"],
    [`${local}@${ascii}`, "when the part after the @-sign is converted to IDNA ASCII"],
  ];
  for (const [form, when] of forms) {
    const bytes = utf8Length(form);
    const over = bytes - lengthMax;
    if (over <= 0) continue;
    const plural = over > 1 ? "s" : "";
    const characters = [...form];
    const widest = Math.max(...characters.map(utf8Length));
    const least = Math.max(1, Math.floor(over / widest));
    const reason = when !== undefined
      ? `${when} (${over} byte${plural} too many)`
      : characters.length === bytes
      ? describeExcess(characters.length, lengthMax)
      : `(${least === over ? over : `${least}-${over}`} character${plural} too many)`;
    throw new EmailError(`The email address is too long ${reason}.`);
  }
}

/**
 * Returns an address in its stored form: the local part in NFC, the domain in Unicode and lower case. White
 * space around the address and a name before it are removed.
 *
 * @throws EmailError with email-validator's message
 */
export function parseEmail(text: string): string {
  const address = (nameAndAddress.exec(text)?.[1] ?? text).replace(surroundingSpace, "");
  const parts = splitAddress(address);
  const local = parseLocal(parts.local);
  if (parts.domain === "") throw new EmailError("There must be something after the @-sign.");
  if (parts.domain.startsWith("[") && parts.domain.endsWith("]")) {
    rejectLiteral(parts.domain.slice(1, -1));
  }
  const { domain, ascii } = parseDomain(parts.domain);
  checkLength(`${parts.local}@${parts.domain}`, local, domain, ascii);
  if (parts.displayName !== undefined) {
    throw new EmailError(
      "A display name and angle brackets around the email address are not permitted here.",
    );
  }
  return `${local}@${domain}`;
}

/**
 * Reads an e-mail field of a body. The rules, and not the check for storable texts, reject NUL and other
 * control characters: no valid address contains one.
 */
export function readEmail(value: Json, loc: (string | number)[], faults: Faults): string | undefined {
  const text = readUnicode(value, loc, faults);
  if (text === undefined) return undefined;
  const addFault = (reason: string) => {
    const msg = `value is not a valid email address: ${reason}`;
    return faults.add("value_error", loc, msg, text, [["reason", reason]]);
  };
  if ([...text].length > inputLengthMax) {
    return addFault(`Length must not exceed ${inputLengthMax} characters`);
  }
  try {
    return parseEmail(text);
  } catch (error) {
    if (error instanceof EmailError) return addFault(error.message);
    throw error;
  }
}
