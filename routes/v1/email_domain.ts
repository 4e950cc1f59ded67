/** Validates the domain of an e-mail address: host name rules, IDNA 2008, and names that are reserved. */
import { checkDots, checkUnsafe, describeExcess, EmailError, listDisallowed } from "./email_text.ts";
import { decodeDomain, encodeDomain, IdnaError, remap } from "./idna.ts";

const lengthMax = 253;
const labelLengthMax = 63;
const specialUse = ["arpa", "invalid", "local", "localhost", "onion", "test"];
const hostCharacter = /^[a-zA-Z0-9\-.\u{80}-\u{10ffff}]$/u;
const hostName =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*$/;

/**
 * Runs an IDNA step, and converts its IdnaError into an EmailError.
 *
 * @param failure the predicate of the message, such as `is invalid`
 */
function withIdnaErrors(failure: string, step: () => string): string {
  try {
    return step();
  } catch (error) {
    if (error instanceof IdnaError) {
      throw new EmailError(`The part after the @-sign ${failure} (${error.message}).`);
    }
    throw error;
  }
}

/** Reports whether email-validator passes a character on to the UTS 46 mapping. */
function isMappable(character: string): boolean {
  const code = character.codePointAt(0)!;
  if (code >= 0x80 && code <= 0x9f) return false;
  const isKept = code >= 0x2010 && code <= 0x2060 && !(code >= 0x2024 && code <= 0x2026) &&
      !(code >= 0x2028 && code <= 0x202e) ||
    [0xad, 0x2064, 0xff0e].includes(code) ||
    code >= 0x200b && code <= 0x200d || code >= 0x1bca0 && code <= 0x1bca3;
  if (isKept) return true;
  if (/^[\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zs}\p{Zl}\p{Zp}]$/u.test(character)) return false;
  return character === "." || !character.normalize("NFKD").includes(".");
}

/**
 * Returns a domain in its stored form, which is Unicode and lower case, and in ASCII.
 *
 * @throws EmailError if the domain is not valid
 */
export function parseDomain(text: string): { domain: string; ascii: string } {
  const length = [...text].length;
  if (length > lengthMax) {
    throw new EmailError(
      `The email address is too long after the @-sign ${describeExcess(length, lengthMax)}.`,
    );
  }
  const rejectCharacters = (bad: string, when = "") => {
    if (bad !== "") {
      throw new EmailError(`The part after the @-sign contains invalid characters${when}: ${bad}.`);
    }
  };
  rejectCharacters(listDisallowed(text, (character) => hostCharacter.test(character)));
  checkUnsafe(text);
  rejectCharacters(listDisallowed(text, isMappable));
  const mapped = withIdnaErrors("contains invalid characters", () => remap(text));
  rejectCharacters(
    listDisallowed(mapped, (character) => hostCharacter.test(character)),
    " after Unicode normalization",
  );
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
  const ascii = hostName.test(mapped) ? mapped : withIdnaErrors("is invalid", () => encodeDomain(mapped));
  checkAsciiDomain(ascii);
  return { ascii, domain: withIdnaErrors("is not valid IDNA", () => decodeDomain(ascii)) };
}

/**
 * Rejects an address literal in brackets. A malformed literal gets its own message.
 *
 * @throws EmailError always
 */
export function rejectLiteral(literal: string): never {
  const part = "The part after the @-sign";
  if (/^[0-9.]+$/.test(literal)) {
    const octets = literal.split(".");
    const reason = octets.length !== 4
      ? `Expected 4 octets in '${literal}'`
      : octets.includes("")
      ? `Empty octet not permitted in '${literal}'`
      : octets.map((octet) => findOctetFault(octet, literal)).find((fault) => fault !== undefined);
    if (reason !== undefined) {
      throw new EmailError(
        `The address in brackets after the @-sign is not valid: It is not an IPv4 address (${reason}) or is missing an ` +
          "address literal tag.",
      );
    }
  } else if (!/^ipv6:/i.test(literal)) {
    if (!literal.includes(":")) {
      throw new EmailError(`${part} in brackets is not an IPv4 address and has no address literal tag.`);
    }
    const bad = listDisallowed(literal, (character) => character >= "\u0021" && character <= "\u00fa");
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

function checkAsciiDomain(ascii: string): void {
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
        describeExcess(long.length, labelLengthMax)
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
