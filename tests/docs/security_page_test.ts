/** docs/security.md says what the code does: limits, words and algorithms. */
import assert from "node:assert/strict";
import { limitsDefault } from "../../routes/common/throttle.ts";
import { accessTokenSeconds } from "../../routes/v2/kit/access_tokens.ts";
import { sessionDays } from "../../routes/v2/people/auth.ts";
import { guessableWords, isGuessable } from "../../routes/v2/people/password.ts";
import { settings } from "../../settings.ts";
import { sources } from "../house/sources.ts";
import { readPage } from "./support/pages.ts";

const page = readPage("docs/security.md").replace(/\s+/g, " ");

Deno.test("the page has the limits, the words and the algorithms of the code", () => {
  const { address, email, overall } = limitsDefault;
  const facts = [
    `by address (${address.burst} at once, then one every ${1 / address.perSecond} s)`,
    `by e-mail (${email.burst}, then one every ${1 / email.perSecond} s)`,
    `overall (${overall.burst}, then ${overall.perSecond} a second)`,
    `valid for ${accessTokenSeconds / 60} minutes`,
    `A session ends after ${sessionDays} days`,
    `(${Number(settings.ACCESS_TOKEN_EXPIRE_MINUTES.default) / 1440} days)`,
    `\`RATE_LIMIT\` a second (${settings.RATE_LIMIT.default})`,
    `one of these words with digits or signs around it: ${guessableWords.join(", ")}.`,
    "bcrypt, cost 12",
  ];
  for (const fact of facts) assert.ok(page.includes(fact), fact);
  const passwords = sources.find(({ path }) => path === "routes/common/passwords.ts")!.text;
  assert.match(passwords, /cost = 12\b/);
  assert.deepEqual([isGuessable("Password1!"), isGuessable("correct horse")], [true, false]);
});

/** Names of algorithms in the sources, with those files outside `migrate/` that may have them. */
const algorithms: [name: RegExp, files: RegExp][] = [
  [/createHash\("(?:sha1|md5)"\)/, /^(uuid\.ts$|migrate\/|jobs\/moves\/plan\.ts$)/],
  [/createHash\("sha256"\)/, /^(migrate|jobs|routes|comparison|db)\//],
  [/createHmac\("sha256", /, /^migrate\/data\/ledger\/report\.ts$/],
  [/"(?:SHA-256|HMAC|HKDF)"/, /^(routes|redis|jobs|migrate)\//],
  [/"AES-GCM"/, /^routes\/v2\/kit\/secrets\.ts$/],
  [
    /"HS256"/,
    /^(routes\/common\/tokens|routes\/v2\/kit\/access_tokens|migrate\/data\/cutover\/token|settings)\.ts$/,
  ],
];
const mention =
  /createHash\([^)]*\)|createHmac\([^)]*\)|createCipher\w*\(|"(?:SHA-\d+|HMAC|HKDF|PBKDF2|AES-\w+|RSA\w*-?\w*|RSASSA-\S+|ECDSA|[HRPE]S(?:256|384|512)|md5|sha1)"/g;

Deno.test("cryptography is only what the page lists", () => {
  const unknown: string[] = [];
  let count = 0;
  for (const { path, text: source } of sources) {
    if (/^(tests|bench|dev|console)\//.test(path)) continue;
    for (const [text] of source.matchAll(mention)) {
      count++;
      if (!algorithms.some(([name, files]) => name.test(text) && files.test(path))) {
        unknown.push(`${path}: ${text}`);
      }
    }
    // Unpredictable values come from Web Crypto.
    if (/Math\.random/.test(source) && /(secrets|tokens|password|refresh|shares|sessions)/.test(path)) {
      unknown.push(`${path}: Math.random`);
    }
  }
  assert.deepEqual(unknown, []);
  assert.ok(count > 20, `${count} mentions`);
});
