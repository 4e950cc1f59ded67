/** How much one may ask: told in every answer, 429 over it, and others are not touched. */
import assert from "node:assert/strict";
import { startApi } from "../support/api.ts";
import { addPeople, type Answer, call, type V2Person } from "./support/api.ts";

/** A second's worth is one; ten may come at once. */
const env = { RATE_LIMIT: "1" };

function readLimit({ headers }: Answer) {
  const [, left, seconds] = /^"default";r=(\d+);t=(\d+)$/.exec(headers.get("ratelimit") ?? "") ?? [];
  return { left: Number(left), seconds: Number(seconds), policy: headers.get("ratelimit-policy") };
}

Deno.test("every answer to who signed in tells what is left of the limit; over it comes 429 with Retry-After", async () => {
  await using api = await startApi({ env });
  const { user, other } = await addPeople(api);
  const me = (who: V2Person) => call(api, who, "GET", "/users/me");
  const first = readLimit(await me(user));
  assert.deepEqual(first, { left: 9, seconds: 1, policy: '"default";q=10;w=10' });
  const kinds = [
    await call(api, user, "GET", "/system/status"),
    await call(api, user, "GET", "/tasks/x/cells/0/ratings"),
    await call(api, user, "PUT", "/users/me/password", {}),
  ];
  assert.deepEqual(kinds.map(({ status }) => status), [403, 404, 422]);
  for (const answer of kinds) assert.ok(readLimit(answer).left < 9, String(answer.status));
  const answers = await Promise.all(Array.from({ length: 30 }, () => me(user)));
  const refused = answers.filter(({ status }) => status === 429);
  assert.ok(refused.length > 0 && answers.every(({ status }) => status === 200 || status === 429));
  for (const answer of refused) {
    assert.equal(answer.body.type, "urn:contactsheet:problem:too_many_requests");
    assert.ok(Number(answer.headers.get("retry-after")) >= 1);
    assert.equal(readLimit(answer).left, 0);
  }
  assert.equal((await me(other)).status, 200);
  // Bodies of those who are over it are not read.
  const put = await call(api, user, "PUT", "/users/me/password", "{".repeat(1000));
  assert.ok([429, 400].includes(put.status), put.text);
});

Deno.test("sessions of one user count together, links and users apart", async () => {
  await using api = await startApi({ env });
  const { user } = await addPeople(api);
  const again = await call(api, undefined, "POST", "/auth/login", {
    email: user.email,
    password: "correct horse",
  });
  await call(api, user, "GET", "/users/me");
  const { left } = readLimit(await call(api, again.body.access_token, "GET", "/users/me"));
  assert.ok(left <= 8, String(left));
});

Deno.test("what is for anyone is counted by address, as trusted proxies tell it", async () => {
  await using api = await startApi({ env: { ...env, TRUSTED_PROXIES: "1" } });
  const ask = (from: string, path = "/openapi.json") =>
    call(
      api,
      undefined,
      path === "/openapi.json" ? "GET" : "POST",
      path,
      path === "/openapi.json" ? undefined : {},
      {
        "x-forwarded-for": `6.6.6.6, ${from}`,
      },
    );
  const answers = [];
  for (let i = 0; i < 40; i++) answers.push(await ask("1.1.1.1", i % 2 ? "/auth/login" : undefined));
  assert.ok(answers.some(({ status }) => status === 429));
  assert.ok(answers.every(({ status }) => [200, 422, 429].includes(status)));
  assert.equal((await ask("2.2.2.2")).status, 200);
});

Deno.test("who guesses tokens or links is put off by address; who has a good one is not", async () => {
  await using api = await startApi({ env });
  const { user } = await addPeople(api);
  const statuses = [];
  for (let i = 0; i < 40; i++) {
    statuses.push((await call(api, i % 2 ? "share_x" : "junk", "GET", "/users/me")).status);
  }
  assert.deepEqual([statuses[0], statuses.includes(429)], [401, true]);
  assert.equal((await call(api, user, "GET", "/users/me")).status, 200);
});

Deno.test("turns come back with time", async () => {
  await using api = await startApi({ env: { RATE_LIMIT: "20" } });
  const { user } = await addPeople(api);
  const me = () => call(api, user, "GET", "/users/me");
  let refused: Answer | undefined;
  while (!refused) {
    refused = (await Promise.all(Array.from({ length: 100 }, me))).find(({ status }) => status === 429);
  }
  assert.equal(refused.headers.get("retry-after"), "1");
  while ((await me()).status !== 200) await new Promise((resolve) => setTimeout(resolve, 50));
});
