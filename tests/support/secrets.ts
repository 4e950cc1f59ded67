/** Secrets that no log and no output may have. Each API that a test starts is searched at its end, and so is each run. */

/** Secret key of the tokens in the recordings, which the tests sign with. */
export const secret = "golden-secret-key";

/** Password of all users of the tests. */
export const password = "correct horse";

const patterns: [what: string, pattern: RegExp][] = [
  ["a signed token", /\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{20,}/],
  ["a refresh token", /\brefresh_[0-9a-f-]{36}\.\d+\.[\w-]{43}/],
  ["the token of a share", /\bshare_[\w-]{43}/],
  ["the hash of a password", /\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}/],
  ["the key of the tokens", new RegExp(secret)],
  ["a password", new RegExp(password)],
];

/** Returns what kind of secret a text has, or undefined. */
export const findSecret = (text: string): string | undefined =>
  patterns.find(([, pattern]) => pattern.test(text))?.[0];
