/** The search for secrets, which every log of an API and the output of every run pass through. */
import assert from "node:assert/strict";
import bcrypt from "bcryptjs";
import { createAccessTokens } from "../routes/v2/kit/access_tokens.ts";
import { createSecrets, createToken, shareTokenPrefix } from "../routes/v2/kit/secrets.ts";
import { formatRefreshToken } from "../routes/v2/people/refresh.ts";
import { createTokens } from "../routes/common/tokens.ts";
import { startApi } from "./support/api.ts";
import { findSecret, password, secret } from "./support/secrets.ts";

Deno.test("each kind of secret is found in a text, and ids and addresses are none", async () => {
  const [userId, sessionId] = [crypto.randomUUID(), crypto.randomUUID()];
  const texts = [
    await createTokens(secret, 1).sign({ sub: userId, email: "a@b.example" }),
    await createAccessTokens(secret).sign({ userId, sessionId, version: 1 }),
    await formatRefreshToken(createSecrets(secret), { sessionId, renewals: 3 }),
    createToken(shareTokenPrefix),
    bcrypt.hashSync("any", 4),
    secret,
    password,
  ];
  for (const text of texts) assert.notEqual(findSecret(`{"msg":"x ${text} y"}`), undefined, text);
  for (const text of ["", userId, "refresh_token", "share_7", "eyJ.a.b", "$2b$12$", "127.0.0.1"]) {
    assert.equal(findSecret(text), undefined, text);
  }
});

Deno.test("an API whose log has a secret fails its test", async () => {
  const api = await startApi();
  api.lines.push({ msg: "signing in", authorization: secret });
  await assert.rejects(
    async () => await api[Symbol.asyncDispose](),
    /the log of the API has the key of the tokens: 'signing in'/,
  );
});
