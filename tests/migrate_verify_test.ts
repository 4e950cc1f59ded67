import assert from "node:assert/strict";
import type { Pool } from "../db/connect.ts";
import { load } from "../migrate/data/load.ts";
import { openSource } from "../migrate/data/open.ts";
import { silentProgress } from "../migrate/data/progress.ts";
import type { Mismatch } from "../migrate/data/mismatch.ts";
import { verify } from "../migrate/data/verify.ts";
import { createDatabase } from "./support/database.ts";
import { generations, makeOddDump, runMigrate } from "./support/migrate.ts";

const progress = silentProgress;

async function findMismatches(sql: Pool, path: string): Promise<Mismatch[]> {
  return (await verify(sql, await openSource(path), { progress })).mismatches;
}

const s4 =
  "(select id from subtasks where generation = 'S4' and status = 'completed' order by legacy_id limit 1)";
const t3 = "(select id from tasks where generation = 'T3' order by legacy_id limit 1)";

/** What is done to the rows, and where it must be found. */
const corruptions: [string, string, Mismatch["kind"], RegExp][] = [
  ["a dropped row", `delete from subtasks where id = ${s4}`, "missing_row", /^$/],
  ["a dropped user", "delete from users where email = 'tester0@example.com'", "missing_row", /^$/],
  [
    "a time a millisecond off",
    `update subtasks set created_at = created_at + interval '1 ms' where id = ${s4}`,
    "changed",
    /^created_at$/,
  ],
  [
    "another text",
    `update tasks set task_name = task_name || ' ' where id = ${t3}`,
    "changed",
    /^task_name$/,
  ],
  ["an empty text for null", `update subtasks set error = '' where id = ${s4}`, "changed", /^error$/],
  ["null for a value", `update subtasks set ratio = null where id = ${s4}`, "changed", /^ratio$/],
  [
    "keys in another order",
    `update tasks set variables = variables::jsonb::json where id = ${t3}`,
    "changed",
    /^variables/,
  ],
  [
    "a number of another type",
    `update subtasks set result = replace(result::text, '1024', '1024.0')::json where id = ${s4}`,
    "changed",
    /^result\.(width|height)$/,
  ],
  [
    "a place moved",
    `update subtasks set variable_indices = '{9,9,9,9,9,9}' where id = ${s4}`,
    "changed",
    /^variable_indices$/,
  ],
  [
    "a flag turned",
    "update users set is_active = not is_active where email = 'tester0@example.com'",
    "changed",
    /^is_active$/,
  ],
  [
    "a role gained",
    "update users set roles = '{admin,user}' where email = 'tester1@example.com'",
    "changed",
    /^roles$/,
  ],
  [
    "a lost note of absence",
    "update tasks set extra = null where id = (select id from tasks where extra::text like '%$absent%' limit 1)",
    "changed",
    /.*/,
  ],
  ["a derived column", `update subtasks set image_url = 'x' where id = ${s4}`, "changed", /column image_url/],
  ["another queue", `update subtasks set queue = 'high' where id = ${s4}`, "changed", /column queue/],
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
];

Deno.test("verify finds each corruption, and says where", async (t) => {
  await using database = await createDatabase();
  const { sql } = database;
  await load(sql, await openSource(generations), { progress });
  for (const [what, statement, kind, path] of corruptions) {
    await t.step(what, async () => {
      await using copy = await createDatabase();
      await load(copy.sql, await openSource(generations), { progress });
      const changed = await copy.sql.unsafe(statement);
      assert.equal(changed.count, 1);
      const mismatches = await findMismatches(copy.sql, generations);
      assert.ok(mismatches.length > 0, "nothing was found");
      for (const mismatch of mismatches) {
        assert.equal(mismatch.kind, kind);
        assert.match(mismatch.path, path);
      }
    });
  }
  assert.deepEqual(await findMismatches(sql, generations), []);
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
    select v.verdict, d.path, d.source_value, d.row_value
    from migration.verifications v
    join migration.differences d on d.verification_id = v.id`;
  assert.deepEqual({ ...kept }, {
    verdict: "different",
    path: "fullname",
    source_value: '"管理员"',
    row_value: '"someone else"',
  });
});

Deno.test("verify compares the quarantine with the source too", async () => {
  await using database = await createDatabase();
  await using dump = await makeOddDump("odd");
  const { sql } = database;
  await load(sql, await openSource(dump.path), { progress });
  await sql`update migration.quarantine set original = 'x' where reason = 'missing_email'`;
  assert.deepEqual((await findMismatches(sql, dump.path)).map(({ kind }) => kind), ["quarantine_changed"]);
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
