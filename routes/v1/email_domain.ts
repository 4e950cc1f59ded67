/** Validates the domain of an e-mail address: host name rules, IDNA 2008, and names that are reserved. */
import {
  checkDots,
  checkUnsafe,
  describeExcess,
  EmailError,
  listDisallowed,
  quotePython,
} from "./email_text.ts";
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

/**
 * Returns a domain in its stored form, which is Unicode and lower case, and in ASCII.
 *
 * @throws EmailError if the domain is not valid
 */
export function parseDomain(text: string): { domain: string; ascii: string } {
  const rejectCharacters = (bad: string, when = "") => {
    if (bad !== "") {
      throw new EmailError(`The part after the @-sign contains invalid characters${when}: ${bad}.`);
    }
  };
  rejectCharacters(listDisallowed(text, (character) => hostCharacter.test(character)));
  checkUnsafe(text);
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
  checkAsciiLength(ascii, ascii === text);
  checkDeliverable(ascii);
  return { ascii, domain: withIdnaErrors("is not valid IDNA", () => decodeDomain(ascii)) };
}

/**
 * Rejects an address literal in brackets. A malformed literal gets its own message.
 *
 * @throws EmailError always
 */
export function rejectLiteral(literal: string): never {
  const part = "The part after the @-sign";
  if (/^[0-9.]+\n?$/.test(literal)) {
    const octets = literal.split(".");
    const reason = octets.length !== 4
      ? `Expected 4 octets in ${quotePython(literal)}`
      : octets.includes("")
      ? `Empty octet not permitted in ${quotePython(literal)}`
      : octets.map((octet) => findOctetFault(octet, literal)).find((fault) => fault !== undefined);
    if (reason !== undefined) {
      throw new EmailError(
        `The address in brackets after the @-sign is not valid: It is not an IPv4 address (${reason}) or is missing an ` +
          "address literal tag.",
      );
    }
  } else if (!literal.startsWith("IPv6:")) {
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
  const where = `permitted in ${quotePython(octet)} in ${quotePython(literal)}`;
  if (!/^[0-9]*$/.test(octet)) return `Only decimal digits ${where}`;
  if (octet.length > 3) return `At most 3 characters ${where}`;
  if (octet !== "0" && octet.startsWith("0")) return `Leading zeros are not ${where}`;
  const number = Number(octet);
  return number > 255 ? `Octet ${number} (> 255) not permitted in ${quotePython(literal)}` : undefined;
}

/** Checks the length of a domain in ASCII, and of its labels. `isOriginal` says that it was given like this. */
function checkAsciiLength(ascii: string, isOriginal: boolean): void {
  const over = ascii.length - lengthMax;
  if (over > 0) {
    const bytes = `(${over} byte${over === 1 ? "" : "s"} too many after IDNA encoding)`;
    throw new EmailError(
      `The email address is too long after the @-sign ${
        isOriginal ? describeExcess(ascii.length, lengthMax) : bytes
      }.`,
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
}

/** Checks that a domain in ASCII can be a public one. */
function checkDeliverable(ascii: string): void {
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
