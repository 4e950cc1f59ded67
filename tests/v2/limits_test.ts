/** The rate limit: its headers, its rejections, and its keys. */
import assert from "node:assert/strict";
import { startApi } from "../support/api.ts";
import { waitFor } from "../support/wait.ts";
import { addPeople, type Answer, call, type V2Person } from "./support/api.ts";

/** One request per second, with a burst of ten. */
const env = { RATE_LIMIT: "1" };

function readLimit({ headers }: Answer) {
  const [, available, seconds] = /^"default";r=(\d+);t=(\d+)$/.exec(headers.get("ratelimit") ?? "") ?? [];
  return { available: Number(available), seconds: Number(seconds), policy: headers.get("ratelimit-policy") };
}

Deno.test("every response to a user reports the rest of the limit; above it follows 429 with Retry-After", async () => {
  await using api = await startApi({ env });
  const { user, other } = await addPeople(api);
  const readMe = (person: V2Person) => call(api, person, "GET", "/users/me");
  const first = readLimit(await readMe(user));
  assert.deepEqual(first, { available: 9, seconds: 1, policy: '"default";q=10;w=10' });
  const rejected = [
    await call(api, user, "GET", "/system/status"),
    await call(api, user, "GET", "/tasks/x/cells/0/ratings"),
    await call(api, user, "PUT", "/users/me/password", {}),
  ];
  assert.deepEqual(rejected.map(({ status }) => status), [403, 404, 422]);
  for (const answer of rejected) assert.ok(readLimit(answer).available < 9, String(answer.status));
  const answers = await Promise.all(Array.from({ length: 30 }, () => readMe(user)));
  const limited = answers.filter(({ status }) => status === 429);
  assert.ok(limited.length > 0 && answers.every(({ status }) => status === 200 || status === 429));
  for (const answer of limited) {
    assert.equal(answer.body.type, "urn:contactsheet:problem:too_many_requests");
    assert.ok(Number(answer.headers.get("retry-after")) >= 1);
    assert.equal(readLimit(answer).available, 0);
  }
  assert.equal((await readMe(other)).status, 200);
  // The body is not read.
  const put = await call(api, user, "PUT", "/users/me/password", "{".repeat(1000));
  assert.ok([429, 400].includes(put.status), put.text);
});

Deno.test("all sessions of a user share one limit", async () => {
  await using api = await startApi({ env });
  const { user } = await addPeople(api);
  const secondSession = await call(api, undefined, "POST", "/auth/login", {
    email: user.email,
    password: "correct horse",
  });
  await call(api, user, "GET", "/users/me");
  const { available } = readLimit(await call(api, secondSession.body.access_token, "GET", "/users/me"));
  assert.ok(available <= 8, String(available));
});

Deno.test("routes without authentication are limited by the address that trusted proxies report", async () => {
  await using api = await startApi({ env: { ...env, TRUSTED_PROXIES: "1" } });
  const forwardedFor = (address: string) => ({ "x-forwarded-for": `6.6.6.6, ${address}` });
  const readDocument = (address: string) =>
    call(api, undefined, "GET", "/openapi.json", undefined, forwardedFor(address));
  const logIn = (address: string) => call(api, undefined, "POST", "/auth/login", {}, forwardedFor(address));
  const answers: Answer[] = [];
  for (let i = 0; i < 20; i++) answers.push(await readDocument("1.1.1.1"), await logIn("1.1.1.1"));
  assert.ok(answers.some(({ status }) => status === 429));
  assert.ok(answers.every(({ status }) => [200, 422, 429].includes(status)));
  assert.equal((await readDocument("2.2.2.2")).status, 200);
  // Changing ports, and addresses of one /64, share a limit.
  for (const address of [(i: number) => `3.3.3.3:${i}`, (i: number) => `[2001:db8::${i}]:${i}`]) {
    const statuses: number[] = [];
    for (let i = 1; i <= 30; i++) statuses.push((await readDocument(address(i))).status);
    assert.ok(statuses.includes(429), address(1));
  }
});

Deno.test("guessing of tokens is limited by address, and does not limit valid tokens from there", async () => {
  await using api = await startApi({ env });
  const { user } = await addPeople(api);
  const statuses = [];
  for (let i = 0; i < 40; i++) {
    statuses.push((await call(api, i % 2 ? "share_x" : "junk", "GET", "/users/me")).status);
  }
  assert.deepEqual([statuses[0], statuses.includes(429)], [401, true]);
  assert.equal((await call(api, user, "GET", "/users/me")).status, 200);
});

Deno.test("the limit recovers with time", async () => {
  await using api = await startApi({ env: { RATE_LIMIT: "20" } });
  const { user } = await addPeople(api);
  const readMe = () => call(api, user, "GET", "/users/me");
  const limited = await waitFor("a rejection", async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, readMe));
    return answers.find(({ status }) => status === 429);
  });
  assert.equal(limited.headers.get("retry-after"), "1");
  await waitFor("a request that is admitted", async () => (await readMe()).status === 200);
});
