/** v1's users: which fields a body may set, e-mail rules, and concurrent changes. */
import assert from "node:assert/strict";
import { EmailError } from "../../routes/v1/email_text.ts";
import { parseEmail } from "../../routes/v1/email.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { addUsers, type Person } from "../support/people.ts";

async function call(api: TestApi, { token }: Person, method: string, path: string, body?: unknown) {
  const response = await fetch(`${api.origin}/api/v1/users/${path}`, {
    method,
    headers: { "authorization": `Bearer ${token}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const { detail, data } = await response.json();
  return { status: response.status, detail, data };
}

interface EmailCase {
  /** The e-mail of the request. */
  given: string;
  stored?: string;
  reason?: string;
}

const emails: EmailCase[] = (await Deno.readTextFile(new URL("../data/compat/emails.jsonl", import.meta.url)))
  .split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
Deno.test(`parseEmail() accepts, normalises and rejects ${emails.length} e-mails as the old backend did`, () => {
  for (const { given, stored, reason } of emails) {
    let got: EmailCase;
    try {
      got = { given, stored: parseEmail(given) };
    } catch (error) {
      assert.ok(error instanceof EmailError, `${JSON.stringify(given)}: ${error}`);
      got = { given, reason: error.message };
    }
    assert.deepEqual(got, { given, ...(reason === undefined ? { stored } : { reason }) });
  }
});

Deno.test("parseEmail() rejects hostile texts of 2,000 characters without backtracking", () => {
  const nasty = [
    "(".repeat(2000),
    "a ".repeat(1000) + "<",
    `"${"a\\".repeat(999)}`,
    `${"a.".repeat(1000)}@b.com`,
    "<".repeat(2000),
  ];
  for (
    const text of [
      ...nasty,
      `a@${"é".repeat(250)}.com`,
      `a@${"-".repeat(250)}`,
      "é".repeat(2000),
      `${"x ".repeat(999)}<a@b.c>`,
    ]
  ) {
    const started = performance.now();
    assert.throws(() => parseEmail(text) === "" || assert.fail(), Error);
    // Catastrophic backtracking takes minutes. The bound allows for a slow machine.
    assert.ok(performance.now() - started < 10_000, text.slice(0, 20));
  }
});

Deno.test("a body sets the documented fields and no other", async () => {
  await using api = await startApi();
  const { admin } = await addUsers(api);
  const more = {
    id: "x",
    _id: "y",
    hashed_password: "z",
    created_at: "2000-01-01T00:00:00",
    is_admin: true,
    extra: {},
  };
  const made = await call(api, admin, "POST", "", {
    email: "new@example.com",
    password: "12345678",
    ...more,
  });
  assert.equal(made.status, 200);
  assert.match(made.data.id, /^[0-9a-f]{24}$/);
  assert.deepEqual(Object.keys(made.data), [
    "id",
    "email",
    "fullname",
    "roles",
    "is_active",
    "created_at",
    "updated_at",
  ]);
  assert.ok(made.data.created_at > "2025");
  const changed = await call(api, admin, "PUT", made.data.id, more);
  assert.deepEqual({ ...changed.data, updated_at: "" }, { ...made.data, updated_at: "" });
  const [row] = await api.database.sql<{ hashed_password: string }[]>`
    select hashed_password from users where email = 'new@example.com'`;
  assert.match(row!.hashed_password, /^\$2b\$\d\d\$.{53}$/);
});

Deno.test("a user is found by the legacy id in any case and by the UUID, and is shown with the legacy id", async () => {
  await using api = await startApi();
  const { admin, user } = await addUsers(api);
  for (const id of [user.legacyId, user.legacyId.toUpperCase(), user.id]) {
    assert.equal((await call(api, admin, "GET", id)).data.id, user.legacyId, id);
  }
  for (const id of [user.id.toUpperCase(), user.id.replaceAll("-", ""), `{${user.id}}`]) {
    assert.equal((await call(api, admin, "GET", id)).status, 404, id);
  }
});

Deno.test("a new user's e-mail that breaks a rule is reported before the password, with the old backend's text", async () => {
  await using api = await startApi({ level: "error" });
  const { admin, user } = await addUsers(api);
  const tooLong = (n: number, s = "s") =>
    `The email address is too long before the @-sign (${n} character${s} too many).`;
  const invalid = (code: string) =>
    `The email address contains invalid characters before the @-sign: ${code}.`;
  const cases: [email: string, reason: string][] = [
    [`${"a".repeat(65)}@example.com`, tooLong(1, "")],
    [`${"a".repeat(66)}@example.com`, tooLong(2)],
    [`${"é".repeat(200)}@example.com`, tooLong(136)],
    [`${"a".repeat(2048)}@`, "Length must not exceed 2048 characters"],
    ["a\u0000b@example.com", invalid("U+0000")],
    ["a\u001fb@example.com", invalid("U+001F")],
    ["a\u007fb@example.com", invalid("U+007F")],
    ["a\u0085b@example.com", "The email address contains unsafe characters: U+0085."],
    ["a\u2028b@example.com", "The email address contains unsafe characters: LINE SEPARATOR."],
    ["a@exa\u0000mple.com", "The part after the @-sign contains invalid characters: U+0000."],
  ];
  for (const [email, reason] of cases) {
    const msg = `value is not a valid email address: ${reason}`;
    const fault = { type: "value_error", loc: ["body", "email"], msg, input: email, ctx: { reason } };
    const made = await call(api, admin, "POST", "", { email, password: "short" });
    assert.equal(made.status, 422);
    assert.deepEqual(made.detail[0], fault);
    assert.deepEqual(made.detail.map(({ loc }: { loc: string[] }) => loc[1]), ["email", "password"]);
    assert.deepEqual((await call(api, admin, "PUT", user.legacyId, { email })).detail, [fault]);
  }
  const surrogate = await call(api, admin, "POST", "", '{"email":"a\\ud800@b.com","password":"12345678"}');
  assert.deepEqual(surrogate.detail.map(({ type }: { type: string }) => type), ["string_unicode"]);
  const longest = { email: `${"a".repeat(64)}@example.com`, password: "12345678" };
  assert.equal((await call(api, admin, "POST", "", longest)).status, 200);
  assert.deepEqual(api.lines, []);
});

Deno.test("of 20 concurrent creates of a user one succeeds and the others get 400", async () => {
  await using api = await startApi();
  const { admin } = await addUsers(api);
  const all = await Promise.all(
    Array.from(
      { length: 20 },
      () => call(api, admin, "POST", "", { email: "one@example.com", password: "12345678" }),
    ),
  );
  assert.deepEqual(all.map(({ status }) => status).sort(), [200, ...Array(19).fill(400)]);
  assert.equal(all.find(({ status }) => status === 400)?.detail, "邮箱已注册");
});

Deno.test("of 4 concurrent changes to the same e-mail one succeeds and the others get 400", async () => {
  await using api = await startApi();
  const { admin, manager, user, guest, other } = await addUsers(api);
  const all = await Promise.all(
    [manager, user, guest, other].map(({ legacyId }) =>
      call(api, admin, "PUT", legacyId, { email: "taken@example.com" })
    ),
  );
  assert.deepEqual(all.map(({ status }) => status).sort(), [200, 400, 400, 400]);
});

Deno.test("of two concurrent deletes of a user one succeeds and the other gets 404", async () => {
  await using api = await startApi();
  const { admin, user } = await addUsers(api);
  const all = await Promise.all([1, 2].map(() => call(api, admin, "DELETE", user.legacyId)));
  assert.deepEqual(all.map(({ status }) => status).sort(), [200, 404]);
});

const bodies: [what: string, body: unknown, status: number, type?: string][] = [
  ["unknown roles", { roles: ["root"] }, 422, "enum"],
  ["roles as text", { roles: "admin" }, 422, "list_type"],
  ["roles null", { roles: null }, 422, "list_type"],
  ["e-mail null", { email: null }, 422, "string_type"],
  ["is_active null", { is_active: null }, 422, "bool_type"],
  ["is_active on", { is_active: "on" }, 200],
  ["is_active 0.0", '{"is_active":0.0}', 200],
  ["no roles", { roles: [] }, 200],
  ["a role twice", { roles: ["user", "user"] }, 200],
  ["a password of 72 bytes", { password: "a".repeat(72) }, 200],
  ["a password of 73 bytes", { password: "a".repeat(73) }, 200],
  ["a password of 25 characters and 75 bytes", { password: "密".repeat(25) }, 200],
  ["a password of 8 characters", { password: "😀".repeat(8) }, 200],
  ["a password of 7 characters", { password: "😀".repeat(7) }, 422, "value_error"],
  ["a NUL in a name", { fullname: "a\0b" }, 422, "string_unicode"],
  ["a lone surrogate in a name", '{"fullname":"\\ud800"}', 422, "string_unicode"],
  ["a name of SQL", { fullname: "'); drop table users; --" }, 200],
];
Deno.test("a change of a user is validated field by field", async (t) => {
  await using api = await startApi();
  const { admin, user } = await addUsers(api);
  for (const [what, body, status, type] of bodies) {
    await t.step(what, async () => {
      const got = await call(api, admin, "PUT", user.legacyId, body);
      assert.equal(got.status, status, JSON.stringify(got));
      assert.equal(got.detail?.[0].type, type);
    });
  }
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
});
