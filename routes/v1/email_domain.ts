/** The part after the @-sign: host rules, IDNA 2008, and names that no mail can reach. */
import { checkDots, checkUnsafe, EmailError, excess, listBad } from "./email_text.ts";
import { decodeDomain, encodeDomain, IdnaError, remap } from "./idna.ts";

const lengthMax = 253;
const labelLengthMax = 63;
const specialUse = ["arpa", "invalid", "local", "localhost", "onion", "test"];
const hostLetter = /^[a-zA-Z0-9\-.\u{80}-\u{10ffff}]$/u;
const hostName =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*$/;

/** Runs a step of IDNA, and tells of its failure after `what`. */
function inIdna(what: string, step: () => string): string {
  try {
    return step();
  } catch (error) {
    if (error instanceof IdnaError) {
      throw new EmailError(`The part after the @-sign ${what} (${error.message}).`);
    }
    throw error;
  }
}

/** Letters that UTS 46 would take or map, but that no host name has. */
function isMappable(letter: string): boolean {
  const code = letter.codePointAt(0)!;
  if (code >= 0x80 && code <= 0x9f) return false;
  const isKept = code >= 0x2010 && code <= 0x2060 && !(code >= 0x2024 && code <= 0x2026) &&
      !(code >= 0x2028 && code <= 0x202e) ||
    [0xad, 0x2064, 0xff0e].includes(code) ||
    code >= 0x200b && code <= 0x200d || code >= 0x1bca0 && code <= 0x1bca3;
  if (isKept) return true;
  if (/^[\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zs}\p{Zl}\p{Zp}]$/u.test(letter)) return false;
  return letter === "." || !letter.normalize("NFKD").includes(".");
}

/**
 * A domain name as it is stored: lower case, in Unicode.
 *
 * @throws EmailError
 */
export function readDomain(given: string): { domain: string; ascii: string } {
  const length = [...given].length;
  if (length > lengthMax) {
    throw new EmailError(`The email address is too long after the @-sign ${excess(length, lengthMax)}.`);
  }
  const refuseLetters = (bad: string, when = "") => {
    if (bad !== "") {
      throw new EmailError(`The part after the @-sign contains invalid characters${when}: ${bad}.`);
    }
  };
  refuseLetters(listBad(given, (letter) => hostLetter.test(letter)));
  checkUnsafe(given);
  refuseLetters(listBad(given, isMappable));
  const mapped = inIdna("contains invalid characters", () => remap(given));
  refuseLetters(listBad(mapped, (letter) => hostLetter.test(letter)), " after Unicode normalization");
  checkDots(
    mapped,
    "An email address cannot have a {} immediately after the @-sign.",
    "An email address cannot end with a {}.",
    true,
  );
  if (mapped.split(".").some((label) => /^(?!xn)..--/iu.test(label))) {
    throw new EmailError(
      "An email address cannot have two letters followed by two dashes immediately after the @-sign or after a " +
        "period, except Punycode.",
    );
  }
  const ascii = hostName.test(mapped) ? mapped : inIdna("is invalid", () => encodeDomain(mapped));
  checkAscii(ascii);
  return { ascii, domain: inIdna("is not valid IDNA", () => decodeDomain(ascii)) };
}

/**
 * What is wrong with an address in brackets; even a right one is not taken.
 *
 * @throws EmailError
 */
export function refuseLiteral(literal: string): never {
  const part = "The part after the @-sign";
  if (/^[0-9.]+$/.test(literal)) {
    const octets = literal.split(".");
    const why = octets.length !== 4
      ? `Expected 4 octets in '${literal}'`
      : octets.includes("")
      ? `Empty octet not permitted in '${literal}'`
      : octets.map((octet) => findOctetFault(octet, literal)).find((fault) => fault !== undefined);
    if (why !== undefined) {
      throw new EmailError(
        `The address in brackets after the @-sign is not valid: It is not an IPv4 address (${why}) or is missing an ` +
          "address literal tag.",
      );
    }
  } else if (!/^ipv6:/i.test(literal)) {
    if (!literal.includes(":")) {
      throw new EmailError(`${part} in brackets is not an IPv4 address and has no address literal tag.`);
    }
    const bad = listBad(literal, (letter) => letter >= "\u0021" && letter <= "\u00fa");
    if (bad !== "") throw new EmailError(`${part} contains invalid characters in brackets: ${bad}.`);
    throw new EmailError(`${part} contains an invalid address literal tag in brackets.`);
  }
  throw new EmailError("A bracketed IP address after the @-sign is not allowed here.");
}

function findOctetFault(octet: string, literal: string): string | undefined {
  if (octet.length > 3) return `At most 3 characters permitted in '${octet}' in '${literal}'`;
  if (octet !== "0" && octet.startsWith("0")) {
    return `Leading zeros are not permitted in '${octet}' in '${literal}'`;
  }
  return Number(octet) > 255 ? `Octet ${Number(octet)} (> 255) not permitted in '${literal}'` : undefined;
}

function checkAscii(ascii: string): void {
  if (ascii.length > lengthMax) {
    const over = ascii.length - lengthMax;
    throw new EmailError(
      `The email address is too long after the @-sign (${over} byte${
        over === 1 ? "" : "s"
      } too many after IDNA encoding).`,
    );
  }
  const long = ascii.split(".").find((label) => label.length > labelLengthMax);
  if (long !== undefined) {
    throw new EmailError(
      `After the @-sign, periods cannot be separated by so many characters ${
        excess(long.length, labelLengthMax)
      }.`,
    );
  }
  if (!ascii.includes(".")) {
    throw new EmailError("The part after the @-sign is not valid. It should have a period.");
  }
  if (!/[A-Za-z]$/.test(ascii)) {
    throw new EmailError(
      "The part after the @-sign is not valid. It is not within a valid top-level domain.",
    );
  }
  if (specialUse.some((name) => ascii === name || ascii.endsWith(`.${name}`))) {
    throw new EmailError(
      "The part after the @-sign is a special-use or reserved name that cannot be used with email.",
    );
  }
}
