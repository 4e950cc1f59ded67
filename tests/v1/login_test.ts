/** Login: stored hashes of every kind, bcrypt's limit of 72 bytes, timing, and the throttle. */
import assert from "node:assert/strict";
import bcrypt from "bcryptjs";
import { createPasswords } from "../../routes/common/passwords.ts";
import { createThrottle, limitsDefault } from "../../routes/common/throttle.ts";
import { startApi, type TestApi } from "../support/api.ts";

async function login(api: TestApi, username: string, password: string, headers: Record<string, string> = {}) {
  const body = new URLSearchParams({ username, password });
  const response = await fetch(`${api.origin}/api/v1/auth/login`, { method: "POST", body, headers });
  const text = await response.text();
  return { status: response.status, text, retryAfter: response.headers.get("retry-after") };
}

async function addHash({ database: { sql } }: TestApi, email: string, hash: string): Promise<void> {
  await sql`insert into users (email, hashed_password) values (${email}, ${hash})`;
}

const wrong = '{"detail":"邮箱或密码错误"}';
const cheap = (password: string) => bcrypt.hashSync(password, 4);
const long = "a".repeat(72);
const cut = "é".repeat(36);

const hashes: [what: string, hash: string, password: string, status: number][] = [
  ["passlib's $2b$", cheap("right"), "right", 200],
  ["$2a$", cheap("right").replace("$2b$", "$2a$"), "right", 200],
  ["$2y$", cheap("right").replace("$2b$", "$2y$"), "right", 200],
  ["another password", cheap("right"), "wrong", 401],
  ["another case", cheap("right"), "Right", 401],
  ["72 bytes", cheap(long), long, 200],
  ["73 bytes whose first 72 match", cheap(long), `${long}x`, 200],
  ["1,000 bytes whose first 72 match", cheap(long), long + "x".repeat(928), 200],
  ["the last 71 of 72 bytes", cheap(long), long.slice(1), 401],
  ["a character split at byte 72", cheap(`a${cut}`), `a${cut}`, 200],
  ["a character split at byte 72, followed by another", cheap(`a${cut}`), `a${cut}é`, 200],
  ["characters of four bytes", cheap("🐱👤密码"), "🐱👤密码", 200],
  ["an empty password", cheap("right"), "", 401],
  ["a NUL", cheap("right"), "right\0", 401],
  ["no hash", "", "right", 401],
  ["plain text instead of a hash", "right", "right", 401],
  ["$2b$99$", "$2b$99$" + "a".repeat(53), "right", 401],
  ["$2b$31$, which would take days", "$2b$31$" + "a".repeat(53), "right", 401],
  ["$2x$", cheap("right").replace("$2b$", "$2x$"), "right", 401],
  ["a truncated hash", cheap("right").slice(0, 40), "right", 401],
  ["argon2", "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaA", "right", 401],
];

Deno.test("login accepts the hashes that the old backend stored, and no others", async (t) => {
  await using api = await startApi();
  for (const [i, [what, hash, password, status]] of hashes.entries()) {
    await t.step(what, async () => {
      await addHash(api, `u${i}@example.com`, hash);
      const got = await login(api, `u${i}@example.com`, password);
      assert.equal(got.status, status, got.text);
      if (status === 401) assert.equal(got.text, wrong);
    });
  }
  const alerts = api.lines.filter(({ level }) => level === "error").map(({ msg }) => msg);
  // v2 logs the same text.
  const alert = "the stored password hash is not a bcrypt hash";
  assert.deepEqual(alerts, Array(7).fill(alert), "each malformed hash is logged as an error");
  assert.ok(!JSON.stringify(api.lines).includes("right") && !JSON.stringify(api.lines).includes("$2b$"));
});

const names: [what: string, username: string][] = [
  ["an unknown e-mail", "nobody@example.com"],
  ["another case", "U@EXAMPLE.COM"],
  ["a space at the end", "u@example.com "],
  ["a NUL", "u@example.com\0"],
  ["SQL", "u@example.com' or '1'='1"],
  ["an operator", '{"$gt":""}'],
  ["a percent sign", "%"],
  ["a megabyte", "x".repeat(1_000_000)],
  ["a smiling cat", "😺"],
];
Deno.test("login compares the e-mail exactly", async (t) => {
  await using api = await startApi();
  await addHash(api, "u@example.com", cheap("right"));
  for (const [what, username] of names) {
    await t.step(what, async () => {
      const got = await login(api, username, "right");
      assert.deepEqual([got.status, got.text], [401, wrong]);
    });
  }
  assert.equal((await login(api, "u@example.com", "right")).status, 200);
});

Deno.test("login rejects a body of 10 MB with 413", async () => {
  await using api = await startApi();
  const got = await login(api, "u@example.com", "x".repeat(10_000_000));
  assert.equal(got.status, 413);
});

Deno.test("unknown e-mails, wrong passwords and malformed hashes take the time of a new hash", async () => {
  using passwords = createPasswords({ cost: 10 });
  await passwords.matches("warm", undefined);
  const stored: (string | undefined)[] = [
    undefined,
    cheap("right"),
    bcrypt.hashSync("right", 8),
    "malformed",
  ];
  // The shortest time of each is measured in turns until they agree. A noisy machine only needs more rounds.
  const shortest = stored.map(() => Infinity);
  const ratio = () => Math.max(...shortest) / Math.min(...shortest);
  for (let round = 0; round < 5 || round < 500 && ratio() >= 1.6; round++) {
    for (const [i, hash] of stored.entries()) {
      const started = performance.now();
      await passwords.matches("wrong", hash);
      shortest[i] = Math.min(shortest[i]!, performance.now() - started);
    }
  }
  assert.ok(ratio() < 1.6, `shortest times ${shortest.map((ms) => ms.toFixed(1))} ms`);
});

Deno.test("hashing does not block the event loop: /health responds while 20 logins wait", async () => {
  await using api = await startApi({ hashing: { cost: 11 } });
  const logins = Array.from({ length: 20 }, (_, i) => login(api, `nobody${i}@example.com`, "x"));
  await new Promise((resolve) => setTimeout(resolve, 50));
  let answered = 0;
  for (const response of logins) void response.then(() => answered++);
  for (let i = 0; i < 20; i++) await (await fetch(`${api.origin}/health`)).body?.cancel();
  assert.ok(answered < 20, "no login was waiting after 20 responses of /health");
  for (const { status } of await Promise.all(logins)) assert.equal(status, 401);
});

Deno.test("logins beyond the queue's limit get 503 with Retry-After", async () => {
  // Two workers hash, each for far longer than all requests take to arrive.
  await using api = await startApi({ hashing: { cost: 11, waitingMax: 4 } });
  const all = await Promise.all(
    Array.from({ length: 90 }, (_, i) => login(api, `nobody${i}@example.com`, "x")),
  );
  const rejected = all.filter(({ status }) => status === 503);
  assert.ok(rejected.length > 0 && rejected.every(({ retryAfter }) => Number(retryAfter) >= 1));
  assert.ok(all.every(({ status }) => status === 503 || status === 401));
});

Deno.test("guesses get 429 with Retry-After, except from an address that has signed in before", async () => {
  const slow = { burst: 6, perSecond: 0.001 };
  const free = { burst: 1e6, perSecond: 1e6 };
  await using api = await startApi({
    env: { TRUSTED_PROXIES: "1" },
    limits: { address: free, email: slow, overall: free },
  });
  await addHash(api, "u@example.com", cheap("right"));
  await addHash(api, "v@example.com", cheap("right"));
  const from = (address: string) => ({ "x-forwarded-for": `forged, ${address}` });
  assert.equal((await login(api, "u@example.com", "right", from("10.0.0.1"))).status, 200);
  const guesses: number[] = [];
  for (let i = 0; i < 9; i++) {
    guesses.push((await login(api, "u@example.com", "guess", from(`10.9.9.${i}`))).status);
  }
  assert.deepEqual(guesses, [401, 401, 401, 401, 401, 401, 429, 429, 429]);
  const refused = await login(api, "U@example.com", "right", from("10.9.9.9"));
  assert.equal(refused.status, 429);
  assert.ok(Number(refused.retryAfter) >= 1);
  assert.match(refused.text, /^\{"detail":"[^"]+"\}$/);
  assert.equal((await login(api, "u@example.com", "right", from("10.0.0.1"))).status, 200);
  assert.equal((await login(api, "v@example.com", "right", from("10.9.9.9"))).status, 200);
});

Deno.test("the throttle counts by address, by e-mail and overall, and refills with time", () => {
  let now = 0;
  const throttle = createThrottle(limitsDefault, () => now);
  const { address, email, overall } = limitsDefault;
  const granted = (count: number, attempt: (i: number) => [address: string, email: string]) =>
    Array.from({ length: count }, (_, i) => throttle.acquire(...attempt(i)))
      .filter((seconds) => seconds === 0).length;
  assert.equal(granted(100, (i) => ["1.1.1.1", `a${i}@example.com`]), address.burst);
  assert.equal(granted(100, (i) => [`2.2.2.${i}`, "b@example.com"]), email.burst);
  assert.equal(
    granted(500, (i) => [`3.3.${i}.3`, `c${i}@example.com`]),
    overall.burst - address.burst - email.burst,
  );
  assert.ok(throttle.acquire("1.1.1.1", "d@example.com") >= 1);
  now += 60_000;
  assert.equal(granted(100, (i) => ["1.1.1.1", `e${i}@example.com`]), 60 * address.perSecond);
  now -= 3_600_000;
  assert.equal(
    throttle.acquire("4.4.4.4", "f@example.com"),
    0,
    "a clock that is set back does not block a login",
  );
});
