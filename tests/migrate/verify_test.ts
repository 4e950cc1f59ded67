import assert from "node:assert/strict";
import type { Pool } from "../../db/pg/connect.ts";
import { load } from "../../migrate/data/load/load.ts";
import { openSource } from "../../migrate/data/sources/open.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import type { Mismatch } from "../../migrate/data/verify/mismatch.ts";
import { verify } from "../../migrate/data/verify/verify.ts";
import { createDatabase } from "../support/database.ts";
import { generations, runMigrate } from "./support/program.ts";
import { dumpFiles, makeFolder, makeOddBson } from "./support/sources.ts";

const progress = silentProgress;

async function findMismatches(sql: Pool, path: string): Promise<Mismatch[]> {
  return (await verify(sql, await openSource(path), { progress })).mismatches;
}

const s4 =
  "(select id from subtasks where generation = 'S4' and status = 'completed' order by legacy_id limit 1)";
const t3 = "(select id from tasks where generation = 'T3' order by legacy_id limit 1)";

type Harm = [
  what: string,
  statement: string,
  kind: Mismatch["kind"],
  path: RegExp,
  cause?: Mismatch["cause"],
];

const one = (set: string) => `update subtasks set ${set} where id = ${s4}`;
const task = (set: string) => `update tasks set ${set} where id = ${t3}`;
const user = (set: string) => `update users set ${set} where email = 'tester0@example.com'`;
const swap = (what: string) => `
  update subtasks s set ${what} = o.${what}
  from (select id, ${what}, lead(id) over w as next, lag(id) over w as last
    from subtasks where generation = 'S4' and status = 'completed' window w as (order by legacy_id) limit 2) as o
  where s.id = coalesce(o.next, o.last)`;

/** What is done to rows and ledger, and where it must be found. */
const harms: Harm[] = [
  ["a dropped row", `delete from subtasks where id = ${s4}`, "missing_row", /^$/, "deleted"],
  ["a dropped user", "delete from users where email = 'tester0@example.com'", "missing_row", /^$/, "deleted"],
  ["a dropped task", `delete from tasks where id = ${t3}`, "missing_row", /^$/, "deleted"],
  ["a time a millisecond late", one("created_at = created_at + interval '1 ms'"), "changed", /^created_at$/],
  [
    "a time a millisecond early",
    task("updated_at = updated_at - interval '1 ms'"),
    "changed",
    /^updated_at$/,
  ],
  ["a time in another zone", user("created_at = created_at + interval '8 hours'"), "changed", /^created_at$/],
  [
    "times swapped",
    "update tasks set created_at = updated_at, updated_at = created_at where id = (select id from tasks where created_at <> updated_at order by id limit 1)",
    "changed",
    /^(created|updated)_at$/,
  ],
  [
    "texts swapped",
    "update users set email = fullname, fullname = email where email = 'admin@example.com'",
    "changed",
    /^(email|fullname)$/,
  ],
  ["a space at the end", task("task_name = task_name || ' '"), "changed", /^task_name$/],
  ["a space at the beginning", task("task_name = ' ' || task_name"), "changed", /^task_name$/],
  ["a text cut short", task("task_name = left(task_name, -1)"), "changed", /^task_name$/],
  ["a text in capitals", user("email = upper(email)"), "changed", /^email$/],
  [
    "a text composed otherwise",
    "update users set fullname = normalize(fullname || 'é', NFD) where email = 'admin@example.com'",
    "changed",
    /^fullname$/,
  ],
  ["a sign that looks alike", user("email = replace(email, 'e', 'е')"), "changed", /^email$/],
  [
    "bytes read as Latin-1",
    "update users set fullname = convert_from(convert_to(fullname, 'UTF8'), 'LATIN1') where email = 'admin@example.com'",
    "changed",
    /^fullname$/,
  ],
  ["a sign that has no width", task("task_name = task_name || U&'\\200B'"), "changed", /^task_name$/],
  ["a written-out newline", task("task_name = task_name || '\\n'"), "changed", /^task_name$/],
  ["an empty text for null", one("error = ''"), "changed", /^error$/],
  ["the word null for null", one("error = 'null'"), "changed", /^error$/],
  ["null for a value", one("ratio = null"), "changed", /^ratio$/],
  ["JSON null for an object", one("type_to_variable = 'null'"), "changed", /^type_to_variable$/],
  ["null for JSON", one("result = null"), "changed", /^result/],
  ["keys in another order", task("variables = variables::jsonb::json"), "changed", /^variables/],
  [
    "an int as a double",
    one("result = replace(result::text, '1024', '1024.0')::json"),
    "changed",
    /^result\.(width|height)$/,
  ],
  [
    "an int as a text",
    one("result = replace(result::text, '1024', '\"1024\"')::json"),
    "changed",
    /^result\.(width|height)$/,
  ],
  [
    "zero below zero",
    one(`result = regexp_replace(result::text, '"seed":[^,]*', '"seed":-0.0')::json`),
    "changed",
    /^result\.seed$/,
  ],
  [
    "a long number rounded",
    one(`result = regexp_replace(result::text, '"seed":[^,]*', '"seed":9007199254740993')::json`),
    "changed",
    /^result\.seed$/,
  ],
  ["a key gone from JSON", one("result = (result::jsonb - 'width')::json"), "changed", /^result/],
  ["a key more in JSON", one("result = (result::jsonb || '{\"more\":1}')::json"), "changed", /^result/],
  [
    "a key twice in JSON",
    one(`result = replace(result::text, '"width"', '"width":1,"width"')::json`),
    "changed",
    /^result/,
  ],
  [
    "a list turned round",
    one(
      "prompts = (select json_agg(e order by n desc) from json_array_elements(prompts || '') with ordinality as x (e, n))"
        .replace("prompts || ''", "('[1,' || ltrim(prompts::text, '['))::json"),
    ),
    "changed",
    /^prompts/,
  ],
  ["a list cut short", one("prompts = '[]'"), "changed", /^prompts/],
  ["a NUL written out", one(`error = 'a\\u0000b'`), "changed", /^error$/],
  ["a place moved", one("variable_indices = '{9,9,9,9,9,9}'"), "changed", /^variable_indices$/],
  [
    "a place shifted by one",
    one("variable_indices = null || variable_indices[1:5]"),
    "changed",
    /^variable_indices$/,
  ],
  ["a place cut short", one("variable_indices = variable_indices[1:5]"), "changed", /^variable_indices$/],
  ["a number one more", one("retry_count = retry_count + 1"), "changed", /^retry_count$/],
  ["a number that another column had", one("seed = (result ->> 'width')::bigint"), "changed", /^seed$/],
  ["a flag turned", user("is_active = not is_active"), "changed", /^is_active$/],
  ["a task deleted", task("is_deleted = not is_deleted"), "changed", /is_deleted/],
  ["another priority", task("priority = priority + 1"), "changed", /^priority$/],
  [
    "a role gained",
    "update users set roles = '{admin,user}' where email = 'tester1@example.com'",
    "changed",
    /^roles$/,
  ],
  ["a role lost", user("roles = '{}'"), "changed", /^roles$/],
  ["another password", user("hashed_password = hashed_password || 'x'"), "changed", /^hashed_password$/],
  ["another status", one("status = 'failed'"), "changed", /^status$|completed_at/],
  ["results of two rows swapped", swap("result"), "changed", /^result|column/],
  [
    "ids of two documents swapped",
    "update users set legacy_id = translate(legacy_id, '0123456789', '1234567890') where email = 'tester0@example.com'",
    "changed",
    /^_id$/,
  ],
  [
    "a row under another task",
    `update subtasks set parent_task_id = (select max(id::text)::uuid from tasks where id <> parent_task_id) where id = ${s4}`,
    "missing_row",
    /^$/,
    "deleted",
  ],
  [
    "a lost note of absence",
    "update tasks set extra = null where id = (select id from tasks where extra::text like '%$absent%' limit 1)",
    "changed",
    /.*/,
  ],
  [
    "an unknown field lost",
    "update tasks set extra = '{}' where id = (select id from tasks where extra is not null order by id limit 1)",
    "changed",
    /.*/,
  ],
  ["another generation", one("generation = 'S3'"), "changed", /.*/],
  ["a derived column", one("image_url = 'x'"), "changed", /column image_url/],
  ["another queue", one("queue = 'high'"), "changed", /column queue/],
  [
    "an extra user",
    "insert into users (email, hashed_password, generation) values ('extra@example.com', '', 'U')",
    "extra_row",
    /^$/,
  ],
  [
    "an extra subtask of an imported task",
    `insert into subtasks (parent_task_id) values (${t3})`,
    "extra_row",
    /^$/,
  ],
  [
    "a row twice, under another id",
    `insert into subtasks (parent_task_id, id, status, generation) select parent_task_id, gen_random_uuid(), 'pending', generation from subtasks where id = ${s4}`,
    "extra_row",
    /^$/,
  ],
  ["written by the new system", one("rating = 5, updated_at = now()"), "changed", /.*/, "new_system"],
  [
    "a counter one more",
    task("subtasks_total = subtasks_total + 1"),
    "derived_changed",
    /column subtasks_total/,
  ],
  [
    "a counter of another column",
    task("subtasks_total = subtasks_total + 2, subtasks_failed = subtasks_failed + 2"),
    "derived_changed",
    /column subtasks_(total|failed)/,
  ],
  [
    "an owner lost",
    "update tasks set owner_id = null where id = (select id from tasks where owner_id is not null order by id limit 1)",
    "derived_changed",
    /column owner_id/,
  ],
  [
    "another owner",
    "update tasks t set owner_id = (select id from users u where u.id <> t.owner_id limit 1) where id = (select id from tasks where owner_id is not null order by id limit 1)",
    "derived_changed",
    /column owner_id/,
  ],
];

const first = (table: string) => `ctid = (select ctid from migration.${table} order by position limit 1)`;

/** The same of the odd documents, which have notes beside their rows. */
const ledgerHarms: Harm[] = [
  [
    "an original lost",
    `delete from migration.originals where ${first("originals")}`,
    "ledger_changed",
    /original/,
    "ledger",
  ],
  [
    "an original with a flipped bit",
    `update migration.originals set original = set_bit(original, 40, 1 - get_bit(original, 40)) where ${
      first("originals")
    }`,
    "ledger_changed",
    /original/,
    "ledger",
  ],
  [
    "an adjustment lost",
    `delete from migration.adjustments where ${first("adjustments")}`,
    "ledger_changed",
    /adjust/,
    "ledger",
  ],
  [
    "an adjustment of another rule",
    `update migration.adjustments set rule = 'other' where ${first("adjustments")}`,
    "ledger_changed",
    /adjust/,
    "ledger",
  ],
  [
    "an adjustment at another path",
    `update migration.adjustments set path = path || 'x' where ${first("adjustments")}`,
    "ledger_changed",
    /adjust/,
    "ledger",
  ],
  [
    "an adjustment too many",
    `insert into migration.adjustments select fingerprint, collection, range_number, position, row_id, 'more', '' from migration.adjustments where ${
      first("adjustments")
    }`,
    "ledger_changed",
    /adjust/,
    "ledger",
  ],
  [
    "kept bytes changed",
    "update migration.quarantine set original = 'x' where reason = 'missing_email'",
    "quarantine_changed",
    /^$/,
    "ledger",
  ],
  [
    "a document gone from the quarantine",
    "delete from migration.quarantine where reason = 'missing_email'",
    "quarantine_changed",
    /^$|quarantined/,
    "ledger",
  ],
  [
    "a sum one more",
    "update migration.ranges set exact = exact + 1 where collection = 'users'",
    "ledger_changed",
    /documents/,
    "ledger",
  ],
];

assert.ok(harms.length + ledgerHarms.length >= 60);

async function findEach(list: Harm[], path: string, t: Deno.TestContext): Promise<void> {
  await using database = await createDatabase({ noDelay: true });
  await load(database.sql, await openSource(path), { progress });
  assert.deepEqual(await findMismatches(database.sql, path), []);
  await database.sql.end();
  const template = new URL(database.url).pathname.slice(1);
  for (const [what, statement, kind, where, cause = "outside_writer"] of list) {
    await t.step(what, async () => {
      await using copy = await createDatabase({ template, noDelay: true });
      assert.ok((await copy.sql.unsafe(statement)).count > 0, "nothing was harmed");
      const mismatches = await findMismatches(copy.sql, path);
      assert.ok(mismatches.length > 0, "nothing was found");
      const told = JSON.stringify(mismatches.slice(0, 3));
      assert.ok(
        mismatches.some((one) => one.kind === kind && where.test(one.path) && one.cause === cause),
        told,
      );
      for (const { document_id, kind, source_value, row_value } of mismatches) {
        assert.ok(document_id !== "" || kind === "ledger_changed", told);
        assert.notEqual(source_value, row_value, told);
      }
    });
  }
}

Deno.test("verify finds each harm to a row, and says where, with both values and by whom", (t) =>
  findEach(harms, generations, t));

Deno.test("verify finds each harm to the ledger", async (t) => {
  await using dump = await makeFolder(dumpFiles(await makeOddBson()));
  await findEach(ledgerHarms, dump.path, t);
});

Deno.test("verify shows both values, exits 4, and keeps what it found", async () => {
  await using database = await createDatabase();
  const { sql, url } = database;
  await load(sql, await openSource(generations), { progress });
  await sql`update users set fullname = 'someone else' where email = 'admin@example.com'`;
  const { code, out, err } = await runMigrate(url, "data", "verify", "--quiet", "--from", generations);
  assert.equal(code, 4);
  assert.match(out, /users .*changed .*fullname .*someone else/);
  assert.match(err, /1 differences/);
  const [kept] = await sql`
    select v.verdict, d.path, d.source_value, d.row_value, d.cause
    from migration.verifications v
    join migration.differences d on d.verification_id = v.id`;
  assert.deepEqual({ ...kept }, {
    verdict: "different",
    path: "fullname",
    source_value: '"管理员"',
    row_value: '"someone else"',
    cause: "outside_writer",
  });
});

Deno.test("rows born here are no difference", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  await load(sql, await openSource(generations), { progress });
  await sql`insert into users (email, hashed_password) values ('new@example.com', '')`;
  const [task] = await sql`
    insert into tasks (task_name, username, tags, variables, settings)
    values ('new', 'new@example.com', '[]', '{}', '{}')
    returning id`;
  await sql`insert into subtasks (parent_task_id) values (${task!.id})`;
  assert.deepEqual(await findMismatches(sql, generations), []);
});
