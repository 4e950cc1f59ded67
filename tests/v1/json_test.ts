/** Client JSON survives a create and a read byte for byte. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Json, parseJson, stringifyJson } from "../../json.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { addUsers } from "../support/people.ts";

interface Created {
  status: number;
  text: string;
  detail: string;
}

const bodyOf = (settings: string, name = '"a task"', tags = '[{"id":"1","type":"prompt","value":"x"}]') =>
  `{"task_name":${name},"username":"","tags":${tags},"variables":{},"settings":${settings}}`;

async function createAndRead(api: TestApi, token: string, body: string): Promise<Created> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const response = await fetch(`${api.origin}/api/v1/tasks`, { method: "POST", headers, body });
  const text = await response.text();
  if (response.status !== 200) return { status: response.status, text, detail: "" };
  const { data: { id } } = JSON.parse(text);
  const detail = await fetch(`${api.origin}/api/v1/tasks/${id}`, { headers });
  return { status: 200, text, detail: await detail.text() };
}

/** Returns the text of `data.<name>` in a response. */
function fieldOf(answer: string, name: string): string {
  const data = (parseJson(answer) as Map<string, Json>).get("data") as Map<string, Json>;
  return stringifyJson(data.get(name)!);
}

const settings: [what: string, sent: string, shown?: string][] = [
  ["the order of keys, also of integer-like keys", '{"b":1,"10":2,"2":3,"a":4}'],
  [
    "1.0, 1.10 and 1e5 in Python's notation",
    '{"a":[1.0,1.10,1e5,1E-7,-0.0,-0]}',
    '{"a":[1.0,1.1,100000.0,1e-07,-0.0,0]}',
  ],
  [
    "integers of 20 and of 400 digits",
    `{"a":12345678901234567890,"b":${"9".repeat(400)},"c":9007199254740993}`,
  ],
  ["the last of two equal keys, at the position of the first", '{"a":1,"b":2,"a":3}', '{"a":3,"b":2}'],
  ["NUL and lone surrogates", '{"a":"\\u0000\\ud800","\\udc00":"\\u0000"}'],
  ["a surrogate pair of escapes as its character", '{"a":"\\ud83d\\ude00\\u00e9"}', '{"a":"😀é"}'],
  ["control characters", '{"a":"\\b\\f\\n\\r\\t\\u0001\\u001f\u007f"}'],
  ["U+2028, right-to-left text and joined characters", '{"a":"\u2028\u2029\u202e אב 👩‍👩‍👧 e\u0301 \ufeff"}'],
  ["unnormalised characters", '{"e\u0301":"é","é":"e\u0301"}'],
  [
    "names of object properties",
    '{"__proto__":{"x":1},"constructor":{"prototype":{"y":1}},"toString":1,"hasOwnProperty":2}',
  ],
  [
    "SQL and shell and HTML",
    `{"a":"'; drop table tasks; -- $1 \${x} $(id) <script>alert(1)</script> %s \\\\ \\"","';--":1}`,
  ],
  ["empty names, lists and objects", '{"":[],"a":{},"b":[[],{}],"c":null,"d":false}'],
  ["2,000 keys", `{${Array.from({ length: 2000 }, (_, i) => `"k${i}":${i}`).join(",")}}`],
  ["nested 90 levels", `{"a":${"[".repeat(88)}1${"]".repeat(88)}}`],
];

Deno.test("client JSON is returned unchanged", async (t) => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  for (const [what, sent, shown = sent] of settings) {
    await t.step(what, async () => {
      const inSettings = await createAndRead(api, user.token, bodyOf(sent));
      assert.equal(inSettings.status, 200, inSettings.text);
      assert.equal(fieldOf(inSettings.detail, "settings"), shown);
      const tags = (inner: string) => `[{"id":"1","type":"prompt","value":"x","more":${inner}}]`;
      const inTags = await createAndRead(api, user.token, bodyOf("{}", '"n"', tags(sent)));
      assert.equal(fieldOf(inTags.detail, "tags"), tags(shown));
    });
  }
  assert.equal(({} as Record<string, unknown>).x, undefined, "a prototype was changed");
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
});

Deno.test("any JSON in the settings is returned unchanged", async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 6 }),
      async (value) => {
        const sent = stringifyJson(parseJson(JSON.stringify(value)));
        fc.pre(!("concurrency" in value));
        const { status, text, detail } = await createAndRead(api, user.token, bodyOf(sent));
        assert.equal(status, 200, text);
        assert.equal(fieldOf(detail, "settings"), sent);
      },
    ),
    { numRuns: 60, seed: 7 },
  );
});

const names = [
  "'; drop table tasks; --",
  "\\",
  "%_\\%",
  "😀 👩‍👩‍👧",
  "\u202eabc",
  "<b>html</b>",
  "line\nbreak\ttab",
  "e\u0301 é",
  "\ufeff \u2028",
  "x".repeat(100_000),
];
Deno.test("create, list and detail return a task's name unchanged", async (t) => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  for (const name of names) {
    await t.step(JSON.stringify(name.slice(0, 30)), async () => {
      const made = await createAndRead(api, user.token, bodyOf("{}", JSON.stringify(name)));
      assert.equal(JSON.parse(made.text).data.task_name, name);
      assert.equal(JSON.parse(made.detail).data.task_name, name);
      const query = new URLSearchParams({ task_name: name.slice(0, 1000) });
      const list = await fetch(`${api.origin}/api/v1/tasks?${query}`, {
        headers: { authorization: `Bearer ${user.token}` },
      });
      const { data: { tasks } } = await list.json();
      assert.ok(tasks.some((task: { task_name: string }) => task.task_name === name));
    });
  }
});

const rejected: [what: string, body: string, status: number, type?: string, loc?: unknown[]][] = [
  ["NaN", bodyOf('{"a":[1,NaN]}'), 422, "finite_number", ["body", "settings", "a", 1]],
  ["Infinity", bodyOf('{"a":Infinity}'), 422, "finite_number", ["body", "settings", "a"]],
  ["1e400", bodyOf('{"a":1e400}'), 422, "finite_number", ["body", "settings", "a"]],
  ["NaN for a name", bodyOf("{}", "NaN"), 422, "string_type", ["body", "task_name"]],
  ["NaN in a tag", bodyOf("{}", '"n"', '[{"type":"prompt","weight":-Infinity}]'), 422, "finite_number"],
  ["a NUL in the name", bodyOf("{}", '"a\\u0000b"'), 422, "string_unicode", ["body", "task_name"]],
  ["half a surrogate pair in the name", bodyOf("{}", '"\\ud83d"'), 422, "string_unicode", [
    "body",
    "task_name",
  ]],
  ["nested 101 levels", bodyOf(`{"a":${"[".repeat(99)}${"]".repeat(99)}}`), 400],
  ["nested 1,000 levels", bodyOf(`{"a":${"[".repeat(1000)}${"]".repeat(1000)}}`), 400],
  ["nested a million levels", "[".repeat(1_000_000), 400],
  ["an integer of 5,000 digits", bodyOf(`{"a":${"9".repeat(5000)}}`), 400],
  ["a text of 20 MB", bodyOf(`{"a":"${"x".repeat(20_000_000)}"}`), 413],
  ["concurrency as text", bodyOf('{"concurrency":"5"}'), 422, "value_error", [
    "body",
    "settings",
    "concurrency",
  ]],
];
Deno.test("JSON that cannot be stored is rejected, and nothing is stored", async (t) => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  for (const [what, body, status, type, loc] of rejected) {
    await t.step(what, async () => {
      const got = await createAndRead(api, user.token, body);
      assert.equal(got.status, status, got.text.slice(0, 500));
      const { detail } = JSON.parse(got.text);
      if (type) assert.equal(detail[0].type, type);
      if (loc) assert.deepEqual(detail[0].loc, loc);
    });
  }
  const [row] = await api.database.sql<{ count: number }[]>`select count(*)::int as count from tasks`;
  assert.equal(row!.count, 0);
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
});
