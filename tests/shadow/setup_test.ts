/** The check before a run that both backends accept the same tokens. */
import assert from "node:assert/strict";
import { AppError } from "../../errors.ts";
import { findSetupFault, requireSameSetup, type TokenCheck } from "../../dev/shadow/setup.ts";
import { Side } from "../../dev/shadow/side.ts";
import { startApi } from "../support/api.ts";
import { createAnswer, startAltered } from "./support/altered.ts";
import { person, startLoaded } from "./support/backends.ts";

const invalid = "无效的认证凭据";
const check = (
  owner: TokenCheck["owner"],
  side: TokenCheck["side"],
  status = 200,
  detail = status === 401 ? invalid : "",
): TokenCheck => ({ owner, side, status, detail });
const own = [check("old", "old"), check("new", "new")];

const faults: [name: string, checks: TokenCheck[], exit: number | undefined, message: string][] = [
  ["every token is accepted", [...own, check("old", "new"), check("new", "old")], undefined, ""],
  ["the same token for both", [check("both", "old"), check("both", "new")], undefined, ""],
  [
    "two keys",
    [...own, check("old", "new", 401), check("new", "old", 401)],
    78,
    "the two backends do not share SECRET_KEY: the new backend rejects the token of the old backend " +
    `(401 '${invalid}'), and the old backend rejects the token of the new backend (401 '${invalid}')`,
  ],
  [
    "a given token that only the old backend accepts",
    [check("both", "old"), check("both", "new", 401)],
    78,
    `the two backends do not share SECRET_KEY: the new backend rejects the given token (401 '${invalid}')`,
  ],
  [
    "a given token that only the new backend accepts",
    [check("both", "old", 401), check("both", "new")],
    78,
    `the two backends do not share SECRET_KEY: the old backend rejects the given token (401 '${invalid}')`,
  ],
  [
    "a user that only the old backend has",
    [check("both", "old"), check("both", "new", 401, "用户不存在")],
    78,
    "the two backends do not have the same users: the new backend does not know the user of the given token " +
    "(401 '用户不存在')",
  ],
  [
    "a user that is disabled in the old backend",
    [...own, check("old", "new"), check("new", "old", 401, "用户已禁用")],
    78,
    "the two backends do not have the same users: the old backend has disabled the user of the token of the new " +
    "backend (401 '用户已禁用')",
  ],
  [
    "a rejection without a text",
    [...own, check("old", "new", 401, ""), check("new", "old")],
    78,
    "the two backends do not share SECRET_KEY: the new backend rejects the token of the old backend (401)",
  ],
  [
    "a token that nobody accepts",
    [check("both", "old", 401), check("both", "new", 401)],
    64,
    `signing in: both backends reject the given token: 401 '${invalid}'`,
  ],
  [
    "a token that its own backend rejects",
    [check("old", "old", 401), check("new", "new"), check("old", "new"), check("new", "old")],
    64,
    `signing in: the old backend rejects the token of the old backend: 401 '${invalid}'`,
  ],
  [
    "a failure",
    [...own, check("old", "new", 500, "Internal Server Error"), check("new", "old")],
    64,
    "requesting --new /api/v1/users/me with the token of the old backend: expected 200 or 401, got 500 " +
    "'Internal Server Error'",
  ],
  [
    "no answer",
    [...own, check("old", "new", 0, "no answer: reset"), check("new", "old")],
    64,
    "requesting --new /api/v1/users/me with the token of the old backend: expected 200 or 401, got no answer: reset",
  ],
];
for (const [name, checks, exit, message] of faults) {
  Deno.test(`findSetupFault(): ${name}`, () => {
    const fault = findSetupFault(checks);
    assert.deepEqual([fault?.exit, fault?.message ?? ""], [exit, message]);
  });
}

/** Returns the error of the check, if it fails. */
async function checkSides(oldUrl: string, newUrl: string, tokens: [old: string, now: string]) {
  using old = new Side("old", oldUrl);
  using now = new Side("new", newUrl);
  old.variables.set("token", tokens[0]).set("other", tokens[1]);
  now.variables.set("token", tokens[1]).set("other", tokens[0]);
  return await requireSameSetup(old, now).then(() => undefined, (error) => error as AppError);
}

Deno.test("requireSameSetup() compares backends with equal and with different keys", async (t) => {
  await using one = await startLoaded();
  await using two = await startApi({
    database: one.database,
    env: { SECRET_KEY: "another-secret-key-of-32-letters" },
  });
  const claims = { sub: "x", email: person.email };
  const [token, other] = [await one.tokens.sign(claims), await two.tokens.sign(claims)] as const;
  await t.step("equal keys", async () => {
    await using seen = startAltered(one.origin, {});
    assert.equal(await checkSides(one.origin, seen.origin, [token, token]), undefined);
    assert.deepEqual(seen.requests, [`GET /api/v1/users/me Bearer ${token} `]);
  });
  await t.step("different keys", async () => {
    const error = await checkSides(one.origin, two.origin, [token, other]);
    assert.ok(error instanceof AppError && error.exit === 78);
    assert.match(error.message, /^the two backends do not share SECRET_KEY: the new backend rejects/);
    assert.ok(!/eyJ/.test(error.message));
  });
  await t.step("a token of the wrong backend for both", async () => {
    const error = await checkSides(one.origin, two.origin, [other, other]);
    assert.match(error!.message, /SECRET_KEY: the old backend rejects the given token/);
  });
  await t.step("a user who exists on one side only", async () => {
    const unknown = await one.tokens.sign({ sub: "x", email: "nobody@example.com" });
    await using lenient = startAltered(one.origin, { before: () => createAnswer(200, "{}") });
    const error = await checkSides(lenient.origin, one.origin, [unknown, unknown]);
    assert.match(error!.message, /do not have the same users: the new backend does not know the user/);
  });
});
