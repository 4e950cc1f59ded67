/** Which test shows which case of the design's list of attacks for v1; the numbers are the list's. */
import assert from "node:assert/strict";

/** A test file, and words of the test or of its row. */
type Proof = [numbers: number[], file: string, words: string];

const proofs: Proof[] = [
  [[1, 2, 3], "v1_tokens_test.ts", "the scheme is read in any case, and no other is one"],
  [[4, 5], "v1_tokens_test.ts", "alg none"],
  [[6], "v1_tokens_test.ts", '["no exp"'],
  [[7, 8], "v1_tokens_test.ts", "expired a second ago"],
  [[9], "v1_tokens_test.ts", "nbf in the future"],
  [[10], "v1_tokens_test.ts", "sub a number"],
  [[11], "v1_tokens_test.ts", "a list for a payload"],
  [[12], "v1_tokens_test.ts", "the last of two equal claims"],
  [[13], "v1_cases_test.ts", "a token of a megabyte"],
  [[14], "v1_tokens_test.ts", "four parts"],
  [[15], "v1_tokens_test.ts", "another spelling is verified by itself"],
  [[16], "v1_tokens_test.ts", "jku, x5u and jwk"],
  [[17], "v1_tokens_test.ts", "crit that nobody knows"],
  [[18], "v1_authorization_test.ts", "a caller who is disabled, renamed or loses a role"],
  [[19], "startup_test.ts", "SECRET_KEY"],
  [[23], "v1_login_test.ts", "unknown, wrong and malformed take the time of a new hash"],
  [[24, 25, 26], "v1_login_test.ts", "73 bytes of which 72 are right"],
  [[27], "v1_login_test.ts", "each malformed hash is told to the operator"],
  [[28, 29, 30], "support/attack_calls.ts", "forms that are none, or too much"],
  [[31, 32, 33], "v1_login_test.ts", "the throttle counts by address, by e-mail and overall"],
  [[34], "v1_login_test.ts", "hashing leaves the loop free"],
  [[35], "v1_throttle_test.ts", "without Redis logins are put off with 503"],
  [[36, 37], "v1_authorization_test.ts", "every route is for those whom the table names"],
  [[38, 41], "support/attack_bodies.ts", "a guest creates a task"],
  [[39], "v1_cases_test.ts", "two cancels at once, and a cancel beside a delete"],
  [[40], "v1_cases_test.ts", "a cancel of a task that has ended is answered alike"],
  [[41], "v1_users_test.ts", "a body sets its own fields and no other"],
  [[42], "v1_users_test.ts", "roles that are none"],
  [[43], "v1_cases_test.ts", "an admin may give up the role"],
  [[44], "v1_users_test.ts", "of 20 who create the same user at once one is first"],
  [[45, 46], "v1_attacks_test.ts", "odd ids are not found, on every route that takes one"],
  [[47, 48, 49], "support/attack_calls.ts", "pages that are none"],
  [[50, 52], "support/attack_bodies.ts", "lists of statuses"],
  [[51], "v1_list_test.ts", "a name is searched as a plain substring in any case"],
  [[53, 54], "support/attack_bodies.ts", "hostile text in every field"],
  [[55, 56, 57, 58], "support/attack_bodies.ts", "bodies that are no JSON, or no object"],
  [[55], "v1_compat_test.ts", "odd requests are answered as FastAPI answers them"],
  [[59, 60, 61, 62], "support/attack_bodies.ts", "half a million keys"],
  [[63, 64, 65, 66], "v1_json_test.ts", "names that objects have"],
  [[67, 68, 69, 70, 71, 72], "support/attack_bodies.ts", "more cells than a task may have"],
  [[73], "expand_test.ts", "a ratio that can't be read"],
  [[74], "expand_test.ts", "lose what could lead the generator elsewhere"],
  [[75], "permissions_test.ts", "is refused"],
  [[77], "image_api_test.ts", "what the create call answers is a job, illegal content, or an error"],
  [[80, 81, 84, 86], "v1_cases_test.ts", "bytes that are no HTTP get an answer or a closed connection"],
  [[82, 83], "support/attack_calls.ts", "another method in a header"],
  [[85], "v1_cases_test.ts", "200 connections that say nothing, or half a head"],
  [[85], "v1_failures_test.ts", "a body that never ends is given up with 408"],
  [[87], "v1_load_test.ts", "a client that leaves takes its statement along"],
  [[88], "v1_load_test.ts", "while 100 slow reads hold the database, others are put off soon"],
  [[89], "silence_test.ts", "sessions that are ended at any moment fail their statements and transactions"],
  [[90], "v1_cases_test.ts", "a deadlock, a lost race, a full disk"],
  [[91], "queue_faults_test.ts", "Redis gone in the middle"],
  [[92], "v1_login_test.ts", "a clock set back keeps nobody out"],
  [[93], "v1_cases_test.ts", "while PostgreSQL takes no writes"],
  [[94, 96], "support/attack_calls.ts", "a cross-origin form with cookies and no token"],
  [[95], "v1_failures_test.ts", "every answer has the same CORS headers"],
  [[97], "support/attack_bodies.ts", "lines and colours for the log"],
  [[98], "v1_etag_test.ts", "a tag is never good for a later state"],
  [[100], "queue_notify_test.ts", "an address that never answers delays neither the work"],
];

/** Not v1's: it has no such call. */
const elsewhere: [numbers: number[], why: string][] = [
  [[20, 21, 22], "v1 has no refresh tokens"],
  [[76], "v1 passes no images on"],
  [[78, 79], "v1 has no ratings"],
  [[99], "v1 has no streams of events"],
];

Deno.test("every case of the list of attacks has a test for v1, or a reason why v1 cannot meet it", async () => {
  for (const [numbers, file, words] of proofs) {
    const source = await Deno.readTextFile(new URL(`./${file}`, import.meta.url));
    assert.ok(source.includes(words), `${numbers}: '${words}' stands in ${file}`);
  }
  const met = new Set([...proofs, ...elsewhere].flatMap(([numbers]) => numbers));
  const missing = Array.from({ length: 100 }, (_, i) => i + 1).filter((number) => !met.has(number));
  assert.deepEqual(missing, []);
});
