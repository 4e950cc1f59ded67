/** What is a token and what is none: every refusal is 401, and nothing is logged or fetched for it. */
import assert from "node:assert/strict";
import { createTokens } from "../../routes/common/tokens.ts";
import { secret, startApi } from "../support/api.ts";
import { addUsers } from "../support/people.ts";
import { sendRaw } from "../support/raw_http.ts";

const encode = (bytes: Uint8Array | string): string =>
  btoa(String.fromCharCode(...(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** Signs any header and payload text, whatever they say. */
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
const claims = (extra: Record<string, unknown> = {}): string =>
  JSON.stringify({ sub: "67ecb1f5a1b2c3d4e5f2faee", email: "admin@example.com", exp: now + 600, ...extra });
const without = (name: string): string => {
  const all = JSON.parse(claims());
  delete all[name];
  return JSON.stringify(all);
};

type Forged = [what: string, token: () => Promise<string> | string];
const refused: Forged[] = [
  ["an empty one", () => ""],
  ["a word", () => "nope"],
  ["three words", () => "abc.def.ghi"],
  ["dots", () => ".."],
  ["two parts", async () => (await forge(hs256, claims())).split(".").slice(0, 2).join(".")],
  ["four parts", async () => `${await forge(hs256, claims())}.x`],
  ["one of 15,000 letters", () => "a".repeat(15_000)],
  ["a space in front", async () => ` ${await forge(hs256, claims())}`],
  ["another key", () => forge(hs256, claims(), "another-secret-key")],
  ["an empty signature", async () => (await forge(hs256, claims())).replace(/[^.]*$/, "")],
  ["alg none", () => `${encode('{"alg":"none"}')}.${encode(claims())}.`],
  ["alg None", () => `${encode('{"alg":"None"}')}.${encode(claims())}.`],
  ["alg nOnE, signed", () => forge('{"alg":"nOnE"}', claims())],
  ["no alg", () => forge('{"typ":"JWT"}', claims())],
  ["alg HS512", () => forge('{"alg":"HS512"}', claims(), secret, "SHA-512")],
  ["alg HS384 in the header alone", () => forge('{"alg":"HS384"}', claims())],
  ["alg RS256 over an HMAC", () => forge('{"alg":"RS256"}', claims())],
  ["crit that nobody knows", () => forge('{"alg":"HS256","crit":["x"],"x":1}', claims())],
  ["a header that is no JSON", () => forge("{", claims())],
  ["a header that is a list", () => forge("[]", claims())],
  ["expired a second ago", () => forge(hs256, claims({ exp: now - 1 }))],
  ["expired long ago", () => forge(hs256, claims({ exp: 1 }))],
  ["a negative exp", () => forge(hs256, claims({ exp: -1 }))],
  ["exp as text", () => forge(hs256, claims({ exp: String(now + 600) }))],
  ["exp null", () => forge(hs256, claims({ exp: null }))],
  ["exp past all numbers", () => forge(hs256, claims().replace(/"exp":\d+/, '"exp":1e400'))],
  ["no exp", () => forge(hs256, without("exp"))],
  ["no sub", () => forge(hs256, without("sub"))],
  ["sub a number", () => forge(hs256, claims({ sub: 1 }))],
  ["sub a list", () => forge(hs256, claims({ sub: ["x"] }))],
  ["sub null", () => forge(hs256, claims({ sub: null }))],
  ["no email", () => forge(hs256, without("email"))],
  ["email null", () => forge(hs256, claims({ email: null }))],
  ["email a number", () => forge(hs256, claims({ email: 5 }))],
  ["email a list", () => forge(hs256, claims({ email: ["admin@example.com"] }))],
  ["email an object", () => forge(hs256, claims({ email: { $ne: "" } }))],
  ["nbf in the future", () => forge(hs256, claims({ nbf: now + 600 }))],
  ["an audience", () => forge(hs256, claims({ aud: "x" }))],
  ["a list for a payload", () => forge(hs256, "[1]")],
  ["a text for a payload", () => forge(hs256, '"x"')],
  ["a number for a payload", () => forge(hs256, "5")],
  ["null for a payload", () => forge(hs256, "null")],
  ["a payload that is no JSON", () => forge(hs256, "{")],
  [
    "a payload that is no UTF-8",
    () => forge(hs256, claims()).then((token) => token.replace(/\.[^.]+\./, "._w.")),
  ],
];

const accepted: Forged[] = [
  ["the old backend's own form", () => forge(hs256, claims())],
  ["exp with a fraction", () => forge(hs256, claims({ exp: now + 600.5 }))],
  ["no typ", () => forge('{"alg":"HS256"}', claims())],
  ["a kid that is a path", () => forge('{"alg":"HS256","kid":"../../etc/passwd"}', claims())],
  ["a kid that is SQL", () => forge(`{"alg":"HS256","kid":"' or 1=1 --"}`, claims())],
  [
    "jku, x5u and jwk",
    () => forge('{"alg":"HS256","jku":"http://127.0.0.1:1/","x5u":"http://127.0.0.1:1/","jwk":{}}', claims()),
  ],
  ["more claims", () => forge(hs256, claims({ roles: ["guest"], iat: now + 60, iss: "x", jti: "1" }))],
  ["nbf in the past", () => forge(hs256, claims({ nbf: now - 60 }))],
  ["another sub: the e-mail says who", () => forge(hs256, claims({ sub: "nobody" }))],
  [
    "the last of two equal claims",
    () => forge(hs256, claims().replace("{", '{"email":"nobody@example.com",')),
  ],
];

Deno.test("tokens that are none are refused alike", async (t) => {
  await using api = await startApi();
  await addUsers(api);
  for (const [what, make] of refused) {
    await t.step(what, async () => {
      const headers: [string, string][] = [["Authorization", `Bearer ${await make()}`]];
      const got = await sendRaw(api.port, { method: "GET", path: "/api/v1/users/me", headers });
      assert.deepEqual([got?.status, got?.text], [401, '{"detail":"无效的认证凭据"}']);
      assert.equal(got?.headers.get("www-authenticate"), "Bearer");
    });
  }
  assert.deepEqual([...new Set(api.lines.map(({ msg }) => msg))], ["request"]);
});

Deno.test("tokens of either backend are taken, whatever else they say", async (t) => {
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
  ["Bearer <token>, Basic YTpi", 401, "无效的认证凭据"],
  ["Bearer <token>", 200],
  ["bearer <token>", 200],
  ["BEARER <token>   ", 200],
];
Deno.test("the scheme is read in any case, and no other is one", async (t) => {
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

Deno.test("a token of ours has what the old backend asks for: HS256, sub, email, exp", async () => {
  const before = Math.floor(Date.now() / 1000);
  const token = await createTokens(secret, 10_080).sign({ sub: "a".repeat(24), email: "名@example.com" });
  const [head = "", payload = ""] = token.split(".").map((part) =>
    new TextDecoder().decode(
      Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0)),
    )
  );
  assert.deepEqual(JSON.parse(head), { alg: "HS256", typ: "JWT" });
  const { exp, ...rest } = JSON.parse(payload);
  assert.deepEqual(rest, { sub: "a".repeat(24), email: "名@example.com" });
  const after = Math.ceil(Date.now() / 1000);
  assert.ok(Number.isInteger(exp) && exp >= before + 604_800 && exp <= after + 604_800);
});

Deno.test("a token that was good once is refused once it has expired, and another spelling is verified by itself", async () => {
  const tokens = createTokens(secret, 60);
  const soon = await forge(hs256, claims({ exp: Math.floor(Date.now() / 1000) + 4 }));
  assert.ok(await tokens.verify(soon));
  assert.ok(await tokens.verify(soon));
  assert.equal(await tokens.verify(`${soon}x`), undefined);
  assert.equal(await tokens.verify(soon.replace(/.{6}$/, "AAAAAA")), undefined);
  const deadline = Date.now() + 60_000;
  while (await tokens.verify(soon)) {
    assert.ok(Date.now() < deadline, "it never expires");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
});
