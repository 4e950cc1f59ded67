import assert from "node:assert/strict";
import { load } from "../../migrate/data/load/load.ts";
import { openSource } from "../../migrate/data/sources/open.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import { readStatus } from "../../migrate/data/ledger/status.ts";
import { verify } from "../../migrate/data/verify/verify.ts";
import { createDatabase } from "../support/database.ts";
import { makeDump } from "./support/program.ts";

const task = "363c99e3-096a-49c5-8f7a-717cca150dc1";
const taskLine =
  `{"_id":{"$oid":"67ed8630a1b2c3d4e544ccd2"},"id":"${task}","task_name":"t","username":"u@example.com",` +
  `"tags":[],"variables":{},"settings":{},"status":"completed","created_at":{"$date":"2025-04-02T21:19:27.787Z"},` +
  `"updated_at":{"$date":"2025-04-02T21:19:27.787Z"},"total_images":0}`;

interface Case {
  what: string;
  /** JSON of fields that replace those of a valid document; undefined removes a field. */
  fields: Record<string, string | undefined>;
  /** Expected values of columns as text. */
  columns?: Record<string, string | null>;
  /** Expected rules in the ledger. */
  rules?: string[];
  /** Expected reason in the quarantine. */
  reason?: string;
}

const date = (text: string) => `{"$date":${text}}`;

/** The time in the `_id` of every case. */
const idTime = "2025-04-02 21:19:27+00";

const cases: Case[] = [
  {
    what: "1 NUL in a text",
    fields: { error: '"a\\u0000b"' },
    columns: { error: "a␀b" },
    rules: ["text_escaped"],
  },
  {
    what: "2 NUL in keys and values of JSON",
    fields: { prompts: '[{"va\\u0000lue":"x\\u0000y"}]' },
    columns: { prompts: '[{"va␀lue":"x␀y"}]' },
    rules: ["text_escaped"],
  },
  {
    what: "3 a lone surrogate",
    fields: { error: '"\\ud83d"' },
    columns: { error: "�" },
    rules: ["text_escaped"],
  },
  { what: "5 U+FFFD in the document", fields: { error: '"�"' }, columns: { error: "�" } },
  {
    what: "6 NaN and infinities",
    fields: { result: '{"url":"u","a":{"$numberDouble":"NaN"},"b":{"$numberDouble":"-Infinity"}}' },
    columns: { result: '{"url":"u","a":null,"b":null}', image_url: "u" },
  },
  {
    what: "7 minus zero",
    fields: { result: '{"score":-0.0}', seed: "-0.0" },
    columns: { result: '{"score":-0.0}', seed: "0" },
  },
  {
    what: "8 int64 beyond 2^53",
    fields: { seed: "9223372036854775807" },
    columns: { seed: "9223372036854775807" },
  },
  {
    what: "9 a double in an int field",
    fields: { retry_count: "2.0" },
    columns: { retry_count: "2" },
  },
  {
    what: "10 a number too large for int4",
    fields: { retry_count: "9999999999" },
    columns: { retry_count: "0" },
    rules: ["number_out_of_range"],
  },
  {
    what: "11 a fraction in a count",
    fields: { retry_count: "1.5" },
    columns: { retry_count: "0" },
    rules: ["number_not_whole"],
  },
  {
    what: "11 a text in a number",
    fields: { seed: '"12345"' },
    columns: { seed: "12345" },
    rules: ["number_from_text"],
  },
  {
    what: "12 Decimal128",
    fields: { seed: '{"$numberDecimal":"1.10"}' },
    columns: { seed: null },
    rules: ["number_not_whole"],
  },
  {
    what: "12 a whole Decimal128",
    fields: { seed: '{"$numberDecimal":"77"}' },
    columns: { seed: "77" },
    rules: ["number_from_decimal"],
  },
  {
    what: "14 before 1970",
    fields: { created_at: date('{"$numberLong":"-1"}') },
    columns: { created_at: "1969-12-31 23:59:59.999+00" },
  },
  {
    what: "15 year 0",
    fields: { created_at: date('{"$numberLong":"-62167219200000"}') },
    columns: { created_at: "0001-01-01 00:00:00+00 BC" },
  },
  {
    what: "16 year 10000",
    fields: { created_at: date('{"$numberLong":"253402300800000"}') },
    columns: { created_at: "10000-01-01 00:00:00+00" },
  },
  {
    what: "17 a date beyond every calendar",
    fields: { created_at: date('{"$numberLong":"9223372036854775807"}') },
    columns: { created_at: "275760-09-13 00:00:00+00" },
    rules: ["time_out_of_range"],
  },
  {
    what: "19 a date as text with a time zone",
    fields: { created_at: '"2025-05-13T15:40:46.622+08:00"' },
    columns: { created_at: "2025-05-13 07:40:46.622+00" },
    rules: ["time_from_text"],
  },
  {
    what: "19 a date as text without a time zone",
    fields: { created_at: '"2025-05-13T07:40:46"' },
    columns: { created_at: "2025-05-13 07:40:46+00" },
    rules: ["time_from_text"],
  },
  {
    what: "20 a timestamp in a date field",
    fields: { created_at: '{"$timestamp":{"t":0,"i":0}}' },
    columns: { created_at: idTime },
    rules: ["time_no_date"],
  },
  {
    what: "20 a number, and a leap second as text, in date fields",
    fields: { created_at: "1743628767", updated_at: '"2016-12-31T23:59:60Z"' },
    columns: { created_at: idTime, updated_at: idTime },
    rules: ["time_no_date", "time_nonexistent"],
  },
  {
    what: "20 null, and no date at all",
    fields: { created_at: "null", updated_at: undefined },
    columns: { created_at: idTime, updated_at: idTime },
    rules: ["time_missing", "time_missing"],
  },
  {
    what: "51 a day that does not exist, as date and as text",
    fields: { created_at: date('"2025-02-30T00:00:00Z"'), updated_at: '"2025-04-31T00:00:00"' },
    columns: { created_at: idTime, updated_at: idTime },
    rules: ["time_nonexistent", "time_nonexistent"],
  },
  {
    what: "51 dates that mongoimport rejects",
    fields: { created_at: date('"2025-04-02T21:16Z"'), updated_at: date('"2025-04-02T21:16:51+08"') },
    columns: { created_at: idTime, updated_at: idTime },
    rules: ["time_no_date", "time_no_date"],
  },
  {
    what: "51 dates that mongoimport accepts",
    fields: { created_at: date('"2025-04-02T7:16:51+0800"'), updated_at: date('"2024-02-29T00:00:00,5Z"') },
    columns: { created_at: "2025-04-01 23:16:51+00", updated_at: "2024-02-29 00:00:00.5+00" },
  },
  {
    what: "21 missing fields",
    fields: { error: undefined, seed: undefined },
    columns: { error: null, seed: null },
  },
  { what: "22 a duplicate key", fields: { result: '{"url":"a","url":"b"}' }, reason: "duplicate_key" },
  {
    what: "23 integer-like keys keep their order",
    fields: { result: '{"url":"u","b":1,"10":2,"2":3}' },
    columns: { result: '{"url":"u","b":1,"10":2,"2":3}' },
  },
  {
    what: "24 an empty key, keys with dots and dollars",
    fields: { result: '{"":1,"a.b":2,"$set":{"$inc":1}}' },
    columns: { result: '{"":1,"a.b":2,"$set":{"$inc":1}}' },
  },
  {
    what: "25 an object that looks like a DBRef",
    fields: { result: '{"$ref":"tasks","$id":{"$oid":"5f5f5f5f5f5f5f5f5f5f5f5f"},"extra":1}' },
    columns: { result: '{"$ref":"tasks","$id":"5f5f5f5f5f5f5f5f5f5f5f5f","extra":1}' },
  },
  {
    what: "26 __proto__ and constructor",
    fields: { result: '{"__proto__":{"x":1},"constructor":null}', __proto__x: "1" },
    columns: { result: '{"__proto__":{"x":1},"constructor":null}' },
  },
  { what: "28 _id is a number", fields: { _id: "7" } },
  { what: "28 _id is the same number as text", fields: { _id: '"7"' } },
  { what: "28 _id is null", fields: { _id: "null" } },
  { what: "28 _id is NaN", fields: { _id: '{"$numberDouble":"NaN"}' } },
  {
    what: "29 a UUID as binary",
    fields: { id: '{"$binary":{"base64":"EjRWeBI0VngSNFZ4EjRWeA==","subType":"04"}}' },
    rules: ["id_no_uuid"],
  },
  {
    what: "29 a UUID in upper case",
    fields: { id: '"ABCDEF00-0000-4000-8000-00000000000A"' },
    columns: { id: "abcdef00-0000-4000-8000-00000000000a" },
  },
  {
    what: "33 an orphan",
    fields: { parent_task_id: '"00000000-dead-4000-8000-000000000000"' },
    reason: "orphan",
  },
  { what: "33 a null parent", fields: { parent_task_id: "null" }, reason: "orphan" },
  {
    what: "34 another spelling of a status",
    fields: { status: '"Completed "' },
    columns: { status: "completed" },
    rules: ["status_spelling"],
  },
  { what: "34 an unknown status", fields: { status: '"done"' }, reason: "unknown_status" },
  { what: "34 no status", fields: { status: undefined }, reason: "missing_status" },
  {
    what: "35 indices as an object",
    fields: { variable_indices: '{"v1":2,"v0":1}' },
    columns: { variable_indices: "{1,2,NULL,NULL,NULL,NULL}" },
  },
  {
    what: "35 ragged indices",
    fields: { variable_indices: "[0,1,null]" },
    columns: { variable_indices: "{0,1,NULL}" },
  },
  {
    what: "35 nested indices",
    fields: { variable_indices: '[[0],"1",2.5]' },
    columns: { variable_indices: "{NULL,1,NULL}" },
    rules: ["index_unreadable", "number_from_text"],
  },
  {
    what: "35 indices of any width",
    fields: { variable_indices: '[{"$numberLong":"1"},null,2.0,{"$numberDouble":"3"},{"$numberInt":"4"}]' },
    columns: { variable_indices: "{1,NULL,2,3,4}" },
  },
  {
    what: "35 indices as an object, of any width",
    fields: { variable_indices: '{"v0":{"$numberDouble":"2.0"},"v5":{"$numberDecimal":"3.0"}}' },
    columns: { variable_indices: "{2,NULL,NULL,NULL,NULL,3}" },
    rules: ["number_from_decimal"],
  },
  {
    what: "36 a scalar in an array field",
    fields: { prompts: '"1girl"', variable_types_map: "3" },
    columns: { prompts: '"1girl"', variable_types_map: "3" },
  },
  {
    what: "36 a list in a text field",
    fields: { error: '["a","b"]' },
    columns: { error: '["a","b"]' },
    rules: ["text_from_value"],
  },
  { what: "39 90 levels of nesting", fields: { deep: "[".repeat(90) + "]".repeat(90) } },
  {
    what: "39 5,000 levels of nesting",
    fields: { deep: "[".repeat(5000) + "]".repeat(5000) },
    reason: "too_deep",
  },
  {
    what: "40 tab, CR, newline, backslash, \\N",
    fields: { error: '"\\t\\r\\n\\\\N\\\\.\\\\t"' },
    columns: { error: "\t\r\n\\N\\.\\t" },
  },
  {
    what: "41 the rarest types",
    fields: {
      result:
        '{"a":{"$minKey":1},"b":{"$symbol":"s"},"c":{"$regularExpression":{"pattern":"^a","options":"i"}},"d":{"$code":"x","$scope":{"n":{"$numberInt":"1"}}}}',
    },
  },
  {
    what: "42 bidirectional, zero-width and joining characters",
    fields: { error: '"\u202e\u200b👩‍👩‍👧"' },
    columns: { error: "\u202e\u200b👩‍👩‍👧" },
  },
  {
    what: "43 a number with separators, and one with full-width digits",
    fields: { seed: '"1,000"', retry_count: '"１２"' },
    columns: { seed: null, retry_count: "0" },
    rules: ["number_unreadable", "number_unreadable"],
  },
  {
    what: "44 a flag as text",
    fields: { use_polish: '"True"' },
    columns: { use_polish: "true" },
    rules: ["flag_from_value"],
  },
  {
    what: "44 a flag as number",
    fields: { use_polish: "1" },
    columns: { use_polish: "true" },
    rules: ["flag_from_value"],
  },
  {
    what: "44 a flag with an unknown text",
    fields: { use_polish: '"perhaps"' },
    columns: { use_polish: "false" },
    rules: ["flag_unreadable"],
  },
  {
    what: "unknown fields, two of them with names that the lens uses",
    fields: { $absent: '["x"]', $order: "1", note: '{"$escaped":"a"}' },
  },
];

/** Returns a valid subtask with the fields of a case as a line of JSON. */
function lineOf({ fields }: Case, number: number): string {
  const hex = number.toString(16).padStart(4, "0");
  const valid: Record<string, string | undefined> = {
    _id: `{"$oid":"67eda9dfa1b2c3d4e544${hex}"}`,
    id: `"00000000-0000-4000-8000-00000000${hex}"`,
    parent_task_id: `"${task}"`,
    variable_indices: "[0,1,null,null,null,null]",
    variable_types_map: '{"v0":"prompt"}',
    type_to_variable: '{"prompt":"v0"}',
    status: '"completed"',
    result: "null",
    error: "null",
    retry_count: "0",
    prompts: "[]",
    ratio: '"1:1"',
    seed: "null",
    use_polish: "false",
    created_at: date('"2025-04-02T21:19:27.787Z"'),
    updated_at: date('"2025-04-02T21:19:27.787Z"'),
  };
  const entries = Object.entries({ ...valid, ...fields }).filter(([, value]) => value !== undefined);
  return `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join()}}`;
}

Deno.test("each unusual document gets the expected row and rules, or the expected reason", async (t) => {
  await using database = await createDatabase();
  const { sql } = database;
  const lines = cases.map(lineOf);
  await using dump = await makeDump({
    tasks: taskLine,
    dramatiq_tasks: lines.map((line) => `${line}\n`).join(""),
  });
  const source = await openSource(dump.path);
  await load(sql, source, { progress: silentProgress });
  for (const [i, { what, columns = {}, rules = [], reason }] of cases.entries()) {
    await t.step(what, async () => {
      const position = i + 1;
      const [quarantined] = await sql`
        select reason, path, convert_from(original, 'UTF8') as original
        from migration.quarantine
        where collection = 'dramatiq_tasks' and position = ${position}`;
      assert.equal(quarantined?.reason, reason);
      if (reason !== undefined) return assert.equal(quarantined!.original, lines[i]);
      const adjustments = await sql`
        select rule, row_id
        from migration.adjustments
        where collection = 'dramatiq_tasks' and position = ${position}
        order by rule`;
      assert.deepEqual(adjustments.map(({ rule }) => rule), rules);
      const rowId = /"id":"([0-9a-fA-F-]{36})"/.exec(lines[i]!)?.[1] ?? adjustments[0]?.row_id;
      const names = Object.keys(columns);
      const selected = names.length === 0 ? "id" : names.map((name) => `${name}::text`).join();
      const [row] = await sql`
        select ${sql.unsafe(selected)}
        from subtasks
        where id = ${rowId}`;
      assert.ok(row, "no row");
      for (const [name, wanted] of Object.entries(columns)) assert.equal(row[name], wanted, name);
    });
  }
  assert.equal((await readStatus(sql)).verdict, "balanced");
  const verdict = await verify(sql, source, { progress: silentProgress });
  assert.deepEqual(verdict.mismatches, []);
  assert.equal(verdict.documents, cases.length + 1);
});

Deno.test("of several users with one e-mail, the oldest active one is loaded and the others name it", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  const user = (number: number, email: string, is_active: boolean, year: number) =>
    JSON.stringify({
      _id: { $oid: `67eda9dfa1b2c3d4e544${String(number).padStart(4, "0")}` },
      email,
      hashed_password: "x",
      is_active,
      created_at: { $date: `${year}-01-01T00:00:00Z` },
      updated_at: { $date: "2025-01-01T00:00:00Z" },
    }) + "\n";
  await using dump = await makeDump({
    users: user(1, "a@b", false, 2019) + user(2, "a@b", true, 2022) + user(3, "a@b", true, 2021) +
      user(4, "A@b", true, 2023),
  });
  await load(sql, await openSource(dump.path), { progress: silentProgress });
  const rows = await sql`select email, legacy_id from users order by legacy_id`;
  assert.deepEqual(
    rows.map(({ email, legacy_id }) => `${email} ${legacy_id.slice(-2)}`),
    ["a@b 03", "A@b 04"],
  );
  const duplicates = await sql`select detail from migration.quarantine order by position`;
  assert.equal(duplicates.length, 2);
  for (const { detail } of duplicates) assert.match(detail, /67eda9dfa1b2c3d4e5440003.* keeps 'a@b'/);
});
