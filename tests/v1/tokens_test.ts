/**
 * Valid and invalid tokens. Every invalid token is 401, causes no log line of its own and no outgoing
 * request.
 */
import assert from "node:assert/strict";
import { createTokens } from "../../routes/common/tokens.ts";
import { secret, startApi } from "../support/api.ts";
import { addUsers } from "../support/people.ts";
import { sendRaw } from "../support/raw_http.ts";
import { waitFor } from "../support/wait.ts";

const encode = (bytes: Uint8Array | string): string =>
  btoa(String.fromCharCode(...(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** Signs any header and payload text. */
async function forge(header: string, payload: string, key = secret, hash = "SHA-256"): Promise<string> {
  const signed = `${encode(header)}.${encode(payload)}`;
  const imported = await crypto.subtle.importKey(
    "raw",
    new TextEncoder().encode(key),
    { name: "HMAC", hash },
    false,
    ["sign"],
  );
  const signature = await crypto.subtle.sign("HMAC", imported, new TextEncoder().encode(signed));
  return `${signed}.${encode(new Uint8Array(signature))}`;
}

const now = Math.floor(Date.now() / 1000);
const hs256 = '{"alg":"HS256","typ":"JWT"}';
const payload = (extra: Record<string, unknown> = {}): string =>
  JSON.stringify({ sub: "67ecb1f5a1b2c3d4e5f2faee", email: "admin@example.com", exp: now + 600, ...extra });
const without = (name: string): string => {
  const all = JSON.parse(payload());
  delete all[name];
  return JSON.stringify(all);
};

type Forged = [what: string, makeToken: () => Promise<string> | string];
const rejected: Forged[] = [
  ["an empty token", () => ""],
  ["one word", () => "nope"],
  ["three words", () => "abc.def.ghi"],
  ["two dots", () => ".."],
  ["two parts", async () => (await forge(hs256, payload())).split(".").slice(0, 2).join(".")],
  ["four parts", async () => `${await forge(hs256, payload())}.x`],
  ["15,000 characters", () => "a".repeat(15_000)],
  ["a space in front", async () => ` ${await forge(hs256, payload())}`],
  ["another key", () => forge(hs256, payload(), "another-secret-key")],
  ["an empty signature", async () => (await forge(hs256, payload())).replace(/[^.]*$/, "")],
  ["alg none", () => `${encode('{"alg":"none"}')}.${encode(payload())}.`],
  ["alg None", () => `${encode('{"alg":"None"}')}.${encode(payload())}.`],
  ["alg nOnE, signed", () => forge('{"alg":"nOnE"}', payload())],
  ["no alg", () => forge('{"typ":"JWT"}', payload())],
  ["alg HS512", () => forge('{"alg":"HS512"}', payload(), secret, "SHA-512")],
  ["alg HS384 in the header alone", () => forge('{"alg":"HS384"}', payload())],
  ["alg RS256 over an HMAC", () => forge('{"alg":"RS256"}', payload())],
  ["an unknown crit", () => forge('{"alg":"HS256","crit":["x"],"x":1}', payload())],
  ["a header that is not JSON", () => forge("{", payload())],
  ["a header that is a list", () => forge("[]", payload())],
  ["expired a second ago", () => forge(hs256, payload({ exp: now - 1 }))],
  ["expired long ago", () => forge(hs256, payload({ exp: 1 }))],
  ["a negative exp", () => forge(hs256, payload({ exp: -1 }))],
  ["exp as text", () => forge(hs256, payload({ exp: String(now + 600) }))],
  ["exp null", () => forge(hs256, payload({ exp: null }))],
  ["an infinite exp", () => forge(hs256, payload().replace(/"exp":\d+/, '"exp":1e400'))],
  ["no exp", () => forge(hs256, without("exp"))],
  ["no sub", () => forge(hs256, without("sub"))],
  ["sub a number", () => forge(hs256, payload({ sub: 1 }))],
  ["sub a list", () => forge(hs256, payload({ sub: ["x"] }))],
  ["sub null", () => forge(hs256, payload({ sub: null }))],
  ["no email", () => forge(hs256, without("email"))],
  ["email null", () => forge(hs256, payload({ email: null }))],
  ["email a number", () => forge(hs256, payload({ email: 5 }))],
  ["email a list", () => forge(hs256, payload({ email: ["admin@example.com"] }))],
  ["email an object", () => forge(hs256, payload({ email: { $ne: "" } }))],
  ["nbf in the future", () => forge(hs256, payload({ nbf: now + 600 }))],
  ["an audience", () => forge(hs256, payload({ aud: "x" }))],
  ["a payload that is a list", () => forge(hs256, "[1]")],
  ["a payload that is a string", () => forge(hs256, '"x"')],
  ["a payload that is a number", () => forge(hs256, "5")],
  ["a payload that is null", () => forge(hs256, "null")],
  ["a payload that is not JSON", () => forge(hs256, "{")],
  [
    "a payload that is not UTF-8",
    () => forge(hs256, payload()).then((token) => token.replace(/\.[^.]+\./, "._w.")),
  ],
];

const accepted: Forged[] = [
  ["the old backend's own form", () => forge(hs256, payload())],
  ["exp with a fraction", () => forge(hs256, payload({ exp: now + 600.5 }))],
  ["no typ", () => forge('{"alg":"HS256"}', payload())],
  ["a kid that is a path", () => forge('{"alg":"HS256","kid":"../../etc/passwd"}', payload())],
  ["a kid that is SQL", () => forge(`{"alg":"HS256","kid":"' or 1=1 --"}`, payload())],
  [
    "jku, x5u and jwk",
    () =>
      forge('{"alg":"HS256","jku":"http://127.0.0.1:1/","x5u":"http://127.0.0.1:1/","jwk":{}}', payload()),
  ],
  ["more claims", () => forge(hs256, payload({ roles: ["guest"], iat: now + 60, iss: "x", jti: "1" }))],
  ["nbf in the past", () => forge(hs256, payload({ nbf: now - 60 }))],
  ["another sub, because the e-mail identifies the user", () => forge(hs256, payload({ sub: "nobody" }))],
  [
    "two equal claims, of which the last counts",
    () => forge(hs256, payload().replace("{", '{"email":"nobody@example.com",')),
  ],
];

Deno.test("invalid tokens all get the same 401", async (t) => {
  await using api = await startApi();
  await addUsers(api);
  for (const [what, make] of rejected) {
    await t.step(what, async () => {
      const headers: [string, string][] = [["Authorization", `Bearer ${await make()}`]];
      const got = await sendRaw(api.port, { method: "GET", path: "/api/v1/users/me", headers });
      assert.deepEqual([got?.status, got?.text], [401, '{"detail":"无效的认证凭据"}']);
      assert.equal(got?.headers.get("www-authenticate"), "Bearer");
    });
  }
  assert.deepEqual([...new Set(api.lines.map(({ msg }) => msg))], ["request"]);
});

Deno.test("valid tokens of either backend are accepted with any further claims", async (t) => {
  await using api = await startApi();
  await addUsers(api);
  for (const [what, make] of accepted) {
    await t.step(what, async () => {
      const got = await fetch(`${api.origin}/api/v1/users/me`, {
        headers: { authorization: `Bearer ${await make()}` },
      });
      assert.equal((await got.json()).data?.email, "admin@example.com");
    });
  }
});

const schemes: [header: string, status: number, detail?: string][] = [
  ["", 401, "Not authenticated"],
  ["Bearer", 401, "无效的认证凭据"],
  ["Bearer ", 401, "无效的认证凭据"],
  ["Basic YTpi", 401, "Not authenticated"],
  ["Token <token>", 401, "Not authenticated"],
  ["<token>", 401, "Not authenticated"],
  ["BearerX <token>", 401, "Not authenticated"],
  ["Bearer, <token>", 401, "Not authenticated"],
  // Deno shows this value and two headers alike; of two headers the first counts.
  ["Bearer <token>, Basic YTpi", 200],
  ["Bearer <token>", 200],
  ["bearer <token>", 200],
  ["BEARER <token>   ", 200],
];
Deno.test("the scheme is Bearer in any case and no other", async (t) => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  for (const [header, status, detail] of schemes) {
    await t.step(`'${header}'`, async () => {
      const value = header.replace("<token>", user.token);
      const got = await sendRaw(api.port, {
        method: "GET",
        path: "/api/v1/users/me",
        headers: [["Authorization", value], ["Cookie", `access_token=${user.token}`]],
      });
      assert.deepEqual([got?.status, JSON.parse(got!.text).detail], [status, detail]);
    });
  }
});

Deno.test("a signed token has what the old backend requires: HS256, sub, email and exp", async () => {
  const before = Math.floor(Date.now() / 1000);
  const token = await createTokens(secret, 10_080).sign({ sub: "a".repeat(24), email: "名@example.com" });
  const [head = "", body = ""] = token.split(".").map((part) =>
    new TextDecoder().decode(
      Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (character) =>
        character.charCodeAt(0)),
    )
  );
  assert.deepEqual(JSON.parse(head), { alg: "HS256", typ: "JWT" });
  const { exp, ...rest } = JSON.parse(body);
  assert.deepEqual(rest, { sub: "a".repeat(24), email: "名@example.com" });
  const after = Math.ceil(Date.now() / 1000);
  assert.ok(Number.isInteger(exp) && exp >= before + 604_800 && exp <= after + 604_800);
});

Deno.test("a cached token is rejected once it has expired", async () => {
  const tokens = createTokens(secret, 60);
  const token = await forge(hs256, payload({ exp: Math.floor(Date.now() / 1000) + 4 }));
  assert.ok(await tokens.verify(token));
  assert.ok(await tokens.verify(token));
  await waitFor("the token's expiry", async () => await tokens.verify(token) === undefined, 60_000);
});

Deno.test("another spelling of a cached token is verified separately", async () => {
  const tokens = createTokens(secret, 60);
  const token = await forge(hs256, payload());
  assert.ok(await tokens.verify(token));
  assert.equal(await tokens.verify(`${token}x`), undefined);
  assert.equal(await tokens.verify(token.replace(/.{6}$/, "AAAAAA")), undefined);
});
