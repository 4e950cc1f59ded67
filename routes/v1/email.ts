/** E-mail addresses by the rules of the old backend, in their words: what is taken, how it is stored. */
import type { Json } from "../../json.ts";
import { readDomain, refuseLiteral } from "./email_domain.ts";
import { checkDots, checkUnsafe, EmailError, excess, listBad, showCharacter } from "./email_text.ts";
import { type Faults, readString } from "./pydantic.ts";
import { utf8Length } from "./query.ts";

/** Characters that are looked at, at all. */
const inputLengthMax = 2048;
/** Bytes of an address. */
const lengthMax = 254;

const atom = "a-zA-Z0-9_!#$%&'*+\\-/=?\\^`{|}~";
const atomDot = new RegExp(`^[.${atom}]$`);
const dotAtom = new RegExp(`^[${atom}]+(?:\\.[${atom}]+)*$`);
const atomDotIntl = new RegExp(`^[.${atom}\\u{80}-\\u{10ffff}]$`, "u");
const dotAtomIntl = new RegExp(`^[${atom}\\u{80}-\\u{10ffff}]+(?:\\.[${atom}\\u{80}-\\u{10ffff}]+)*$`, "u");
const quotedLetter = /^[\u{20}-\u{7e}\u{80}-\u{10ffff}]$/u;

/** Mailboxes that mean the same in any case (RFC 2142). */
const mailboxes = new Set(
  ("info marketing sales support abuse noc security postmaster hostmaster usenet news webmaster www uucp ftp")
    .split(" "),
);

// What Python's \s and strip() take for white space.
const space = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const ends = new RegExp(`^[${space}]+|[${space}]+$`, "g");
const nameLetter = "[\\p{L}\\p{N}_!#$%&'*+\\-/=?\\^`{|}~]";
/** `Name <address>`, the name bare or quoted or absent. */
const pretty = new RegExp(
  `^[${space}]*(?:(?:${nameLetter}+[${space}]+)*${nameLetter}+|"[^]+")?[${space}]*<([^\\n]+)>[${space}]*$`,
  "u",
);

interface Split {
  /** As written; undefined where no angle brackets are. */
  displayName?: string;
  local: string;
  domain: string;
}

/** Cuts before the first of `specials` that is not in quotes and that nothing combines with. */
function cutAtSpecial(text: string, specials: string): [string, string] {
  const letters = [...text];
  let inQuotes = false;
  let escaped = false;
  for (const [i, letter] of letters.entries()) {
    if ([...letters.slice(i, i + 32).join("").normalize("NFC")][0] !== letter) continue;
    if (inQuotes) {
      if (letter === '"' && !escaped) inQuotes = false;
      escaped = letter === "\\" && !escaped;
    } else if (letter === '"') inQuotes = true;
    else if (specials.includes(letter)) return [letters.slice(0, i).join(""), letters.slice(i).join("")];
  }
  if (text.includes("＠")) {
    throw new EmailError(
      'The email address has the "full-width" at-sign (@) character instead of a regular at-sign.',
    );
  }
  if (text.includes("﹫")) {
    throw new EmailError(
      'The email address has the "small commercial at" character instead of a regular at-sign.',
    );
  }
  throw new EmailError("An email address must have an @-sign.");
}

function unquote(text: string): { text: string; quoted: boolean } {
  const letters = [...text];
  if (letters[0] !== '"') return { text, quoted: false };
  let value = "";
  for (let i = 1; i < letters.length; i++) {
    if (letters[i] === '"') {
      const after = letters.slice(i + 1).map(showCharacter);
      if (after.length > 0) {
        throw new EmailError(`Extra character(s) found after close quote: ${after.join(", ")}`);
      }
      break;
    }
    if (letters[i] === "\\") i++;
    value += letters[i] ?? "";
  }
  return { text: value, quoted: true };
}

function split(email: string): Split {
  const [left, right] = cutAtSpecial(email, "@<");
  if (!right.startsWith("<")) return { local: left, domain: right.slice(1) };
  const name = unquote(left.replace(new RegExp(`[${space}]+$`), ""));
  const bad = name.quoted
    ? ""
    : listBad(name.text, (letter) => letter === " " || letter !== "." && atomDot.test(letter));
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
  const [local, domain] = cutAtSpecial(trimmed.slice(1, -1), "@");
  return { displayName: name.text, local, domain: domain.slice(1) };
}

/** The part before the @-sign, unquoted; what comes back is written as it must be. */
function checkLocal(local: string, quoted: boolean): string {
  if (local === "") throw new EmailError("There must be something before the @-sign.");
  if (dotAtom.test(local)) return local;
  if (dotAtomIntl.test(local)) {
    checkUnsafe(local);
    return local;
  }
  if (quoted) {
    const bad = listBad(local, (letter) => quotedLetter.test(letter));
    if (bad !== "") {
      throw new EmailError(
        `The email address contains invalid characters in quotes before the @-sign: ${bad}.`,
      );
    }
    checkUnsafe(local, { allowSpace: true });
    return `"${local.replace(/(["\\])/g, "\\$1")}"`;
  }
  const bad = listBad(local, (letter) => atomDotIntl.test(letter));
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

function readLocal(given: string): string {
  const { text, quoted } = unquote(given);
  let local = checkLocal(text, quoted);
  const normal = text.normalize("NFC");
  if (normal !== text) {
    try {
      local = checkLocal(normal, quoted);
    } catch (error) {
      throw new EmailError(`After Unicode normalization: ${(error as Error).message}`);
    }
  }
  if (quoted) throw new EmailError("Quoting the part before the @-sign is not allowed here.");
  return mailboxes.has(local.toLowerCase()) ? local.toLowerCase() : local;
}

/** Refuses an address of too many bytes: as written, as stored, and with its domain in ASCII. */
function checkLength(original: string, local: string, domain: string, ascii: string): void {
  const asciiLocal = `${local}@${ascii}`;
  const forms: [string, string?][] = [
    [original],
    [`${local}@${domain}`, "after normalization"],
    [asciiLocal, "when the part after the @-sign is converted to IDNA ASCII"],
  ];
  for (const [form, when] of forms) {
    const bytes = utf8Length(form);
    const over = bytes - lengthMax;
    if (over <= 0) continue;
    const plural = over > 1 ? "s" : "";
    const letters = [...form];
    const widest = Math.max(...letters.map(utf8Length));
    const least = Math.max(1, Math.floor(over / widest));
    const reason = when !== undefined
      ? `${when} (${over} byte${plural} too many)`
      : letters.length === bytes
      ? excess(letters.length, lengthMax)
      : `(${least === over ? over : `${least}-${over}`} character${plural} too many)`;
    throw new EmailError(`The email address is too long ${reason}.`);
  }
}

/**
 * An address as it is stored: the local part in NFC, the domain in lower case and Unicode; spaces around it and a
 * name before it are dropped.
 *
 * @throws EmailError in the old backend's words
 */
export function parseEmail(given: string): string {
  const named = pretty.exec(given);
  const { displayName, local: localGiven, domain: domainGiven } = split(
    (named?.[1] ?? given).replace(ends, ""),
  );
  const local = readLocal(localGiven);
  if (domainGiven === "") throw new EmailError("There must be something after the @-sign.");
  if (domainGiven.startsWith("[") && domainGiven.endsWith("]")) {
    refuseLiteral(domainGiven.slice(1, -1));
  }
  const { domain, ascii } = readDomain(domainGiven);
  checkLength(`${localGiven}@${domainGiven}`, local, domain, ascii);
  if (displayName !== undefined) {
    throw new EmailError(
      "A display name and angle brackets around the email address are not permitted here.",
    );
  }
  return `${local}@${domain}`;
}

/** An e-mail field of a body. */
export function readEmail(value: Json, loc: (string | number)[], faults: Faults): string | undefined {
  const text = readString(value, loc, faults);
  if (text === undefined) return undefined;
  const refuse = (reason: string) =>
    faults.add("value_error", loc, `value is not a valid email address: ${reason}`, text, [[
      "reason",
      reason,
    ]]);
  if ([...text].length > inputLengthMax) return refuse(`Length must not exceed ${inputLengthMax} characters`);
  try {
    return parseEmail(text);
  } catch (error) {
    if (error instanceof EmailError) return refuse(error.message);
    throw error;
  }
}
