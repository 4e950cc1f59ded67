/** Sessions of browsers, whose refresh token is a cookie. */
import assert from "node:assert/strict";
import { startApi, type TestApi } from "../../support/api.ts";
import { password } from "../../support/people.ts";
import { addPeople, call } from "../support/api.ts";

const email = "user@example.com";
const ours = { "x-console": "1" };

async function post(api: TestApi, name: string, headers: Record<string, string>, body?: unknown) {
  const answer = await call(api, undefined, "POST", `/auth/browser/${name}`, body, headers);
  const cookie = answer.headers.get("set-cookie") ?? "";
  return { ...answer, cookie, pair: cookie.split(";")[0]! };
}

const signIn = (api: TestApi, headers: Record<string, string> = ours) =>
  post(api, "login", headers, { email, password });

const readMe = async (api: TestApi, token: string) => (await call(api, token, "GET", "/users/me")).status;

Deno.test("a browser's refresh token is only in a cookie that scripts, other paths and other sites do not get", async () => {
  await using api = await startApi();
  await addPeople(api);
  const { status, body, cookie, text } = await signIn(api);
  assert.equal(status, 200, text);
  assert.deepEqual(Object.keys(body).sort(), ["access_token", "expires_in", "session_id", "token_type"]);
  assert.match(
    cookie,
    /^contactsheet_session=refresh_[^;]+; Max-Age=2592000; Path=\/api\/v2\/auth\/browser; HttpOnly; SameSite=Strict$/,
  );
  assert.equal(await readMe(api, body.access_token), 200);
  const secure = { ...ours, origin: "https://sheet.example" };
  const overHttps = await signIn(api, secure);
  assert.match(
    overHttps.cookie,
    /^__Secure-contactsheet_session=refresh_.*; Path=\/api\/v2\/auth\/browser; HttpOnly; Secure; SameSite=Strict$/,
  );
  const renewed = await post(api, "refresh", { ...secure, cookie: overHttps.pair });
  assert.match(renewed.cookie, /^__Secure-/);
  const ended = await post(api, "logout", { ...secure, cookie: renewed.pair });
  assert.match(ended.cookie, /^__Secure-contactsheet_session=; Max-Age=0; .*Secure$/);
  assert.doesNotMatch(JSON.stringify(api.lines), /refresh_|eyJ/);
});

Deno.test("a renewal replaces the cookie; the replaced one ends the session when it comes back later", async () => {
  await using api = await startApi();
  await addPeople(api);
  const first = await signIn(api);
  const second = await post(api, "refresh", { ...ours, cookie: first.pair });
  assert.equal(second.status, 200, second.text);
  assert.notEqual(second.pair, first.pair);
  const again = await post(api, "refresh", { ...ours, cookie: first.pair });
  assert.deepEqual([again.status, again.pair], [200, second.pair], "two tabs at once get the same");
  await api.database.sql`update sessions set rotated_at = now() - interval '1 min'`;
  assert.equal((await post(api, "refresh", { ...ours, cookie: first.pair })).status, 401);
  assert.equal((await post(api, "refresh", { ...ours, cookie: second.pair })).status, 401);
  assert.equal(await readMe(api, second.body.access_token), 401);
});

Deno.test("signing in again ends the browser's present session, and a failed attempt does not", async () => {
  await using api = await startApi();
  await addPeople(api);
  const first = await signIn(api);
  const failed = await post(api, "login", { ...ours, cookie: first.pair }, {
    email,
    password: "wrong horse",
  });
  assert.deepEqual([failed.status, await readMe(api, first.body.access_token)], [401, 200]);
  const second = await signIn(api, { ...ours, cookie: first.pair });
  assert.notEqual(second.body.session_id, first.body.session_id);
  assert.deepEqual(
    [await readMe(api, first.body.access_token), await readMe(api, second.body.access_token)],
    [401, 200],
  );
});

Deno.test("signing out ends the session on the server and removes the cookie, also without an access token", async () => {
  await using api = await startApi();
  await addPeople(api);
  const { pair, body } = await signIn(api);
  const ended = await post(api, "logout", { ...ours, cookie: pair });
  assert.equal(ended.status, 204);
  assert.match(ended.cookie, /^contactsheet_session=; Max-Age=0; Path=\/api\/v2\/auth\/browser$/);
  assert.equal((await post(api, "refresh", { ...ours, cookie: pair })).status, 401);
  assert.equal(await readMe(api, body.access_token), 401);
  assert.equal((await post(api, "logout", ours)).status, 204, "a second time and without a cookie");
});

const foreign: [string, Record<string, string>, number][] = [
  ["a form of another site in an old browser", {}, 422],
  ["another value of the header", { "x-console": "0" }, 422],
  ["a form or link of another site", { "sec-fetch-site": "cross-site" }, 403],
  ["a script of another site", { "x-console": "1", "sec-fetch-site": "cross-site" }, 403],
  ["a page of a neighbouring domain", { "x-console": "1", "sec-fetch-site": "same-site" }, 403],
];
for (const [what, headers, wanted] of foreign) {
  Deno.test(`the cookie's routes refuse ${what}`, async () => {
    await using api = await startApi();
    await addPeople(api);
    const { pair, body } = await signIn(api);
    for (const name of ["login", "refresh", "logout"]) {
      const sent = name === "login" ? { email, password } : undefined;
      const { status, cookie } = await post(api, name, { ...headers, cookie: pair }, sent);
      assert.deepEqual([name, status, cookie], [name, wanted, ""]);
    }
    assert.equal(await readMe(api, body.access_token), 200, "the session goes on");
  });
}

Deno.test("the cookie signs in nowhere else, and without it nothing is renewed", async () => {
  await using api = await startApi();
  await addPeople(api);
  const { pair } = await signIn(api);
  for (const path of ["/users/me", "/tasks"]) {
    assert.equal((await call(api, undefined, "GET", path, undefined, { cookie: pair })).status, 401);
  }
  for (const cookie of ["", "contactsheet_session=", "contactsheet_session=refresh_x", "other=1"]) {
    assert.equal((await post(api, "refresh", { ...ours, cookie })).status, 401);
  }
});
