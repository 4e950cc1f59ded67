import assert from "node:assert/strict";
import type { Pool } from "../../db/pg/connect.ts";
import { load } from "../../migrate/data/load/load.ts";
import { openSource } from "../../migrate/data/sources/open.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import { applyRepair } from "../../migrate/data/repair/repair.ts";
import { planRepair } from "../../migrate/data/repair/plan.ts";
import { readStatus } from "../../migrate/data/ledger/status.ts";
import { undoRepair } from "../../migrate/data/repair/undo.ts";
import { verify } from "../../migrate/data/verify/verify.ts";
import { createDatabase } from "../support/database.ts";
import { generations, makeEdgeCaseDump, runMigrate } from "./support/program.ts";

const progress = silentProgress;
const open = () => openSource(generations);
const plan = async (sql: Pool, options: { deleteExtra?: boolean; overwriteNew?: boolean } = {}) =>
  await planRepair(sql, await open(), { progress, ...options });

async function digest(sql: Pool): Promise<string> {
  const parts = await Promise.all(["users", "tasks", "subtasks"].map(async (name) => {
    const [row] = await sql.unsafe(`
      select md5(string_agg((to_jsonb(t) - 'revision')::text, ',' order by t.id)) as digest
      from ${name} t`);
    return row!.digest;
  }));
  return parts.join();
}

const minuteBefore = "updated_at - interval '1 minute'";
const t3 = "(select id from tasks where generation = 'T3' order by legacy_id limit 1)";
const s4 =
  "(select id from subtasks where generation = 'S4' and status = 'completed' order by legacy_id limit 1)";

/** Statements that damage rows. */
const damages: [what: string, statement: string][] = [
  ["a deleted user", "delete from users where email = 'tester0@example.com'"],
  ["a deleted task with its subtasks", `delete from tasks where id = ${t3}`],
  ["a deleted subtask", `delete from subtasks where id = ${s4}`],
  ["a changed text", `update tasks set task_name = 'other' where id = ${t3}`],
  ["keys in another order", `update tasks set variables = variables::jsonb::json where id = ${t3}`],
  ["a changed status", `update subtasks set status = 'failed', error = 'x' where id = ${s4}`],
  [
    "swapped columns",
    `update subtasks set created_at = updated_at, updated_at = ${minuteBefore} where id = ${s4}`,
  ],
  [
    "changed arrays and flags",
    "update users set roles = '{guest}', is_active = false where email like 'tester%'",
  ],
];

Deno.test("repair restores each damaged row, and undo brings the damage back", async (t) => {
  for (const [what, statement] of damages) {
    await t.step(what, async () => {
      await using database = await createDatabase();
      const { sql } = database;
      await load(sql, await open(), { progress });
      const loaded = await digest(sql);
      assert.ok((await sql.unsafe(statement)).count > 0);
      const damaged = await digest(sql);
      const made = await plan(sql);
      assert.ok(made.steps.length > 0);
      assert.equal(await digest(sql), damaged, "a plan changes nothing");
      const result = await applyRepair(sql, made);
      assert.deepEqual([result.applied, result.skipped], [made.steps.length, []]);
      assert.equal(await digest(sql), loaded);
      assert.equal((await verify(sql, await open(), { progress })).differences, 0);
      assert.deepEqual((await readStatus(sql)).faults, []);
      assert.equal((await undoRepair(sql, made.plan)).undone, made.steps.length);
      const again = await plan(sql);
      assert.deepEqual(again.steps.map(({ after }) => after), made.steps.map(({ after }) => after));
    });
  }
});

Deno.test("repair skips a row that changed after the plan was made and repairs the others", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  await load(sql, await open(), { progress });
  await sql`update users set fullname = 'a' where email in ('tester0@example.com', 'tester1@example.com')`;
  const made = await plan(sql);
  assert.equal(made.steps.length, 2);
  await sql`update users set fullname = 'b' where email = 'tester0@example.com'`;
  const result = await applyRepair(sql, made);
  assert.equal(result.applied, 1);
  assert.match(result.skipped[0]!.why, /changed since the plan/);
  const [skipped] = await sql`select fullname from users where email = 'tester0@example.com'`;
  assert.equal(skipped!.fullname, "b");
});

Deno.test("repair changes new and extra rows only when the options ask for it", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  await load(sql, await open(), { progress });
  await sql`update users set fullname = 'mine', updated_at = now() where email = 'tester0@example.com'`;
  const [extra] = await sql`
    insert into subtasks (parent_task_id, rating, generation, updated_at)
    values (${sql.unsafe(t3)}, 5, 'S4', '2025-01-01') returning id::text as id`;
  const cautious = await plan(sql);
  assert.deepEqual(cautious.steps, []);
  assert.deepEqual(cautious.left.map(({ kind }) => kind).sort(), ["changed", "extra_row"]);
  const full = await plan(sql, { deleteExtra: true, overwriteNew: true });
  assert.deepEqual(full.steps.map(({ action }) => action), ["update", "delete"]);
  await applyRepair(sql, full);
  assert.equal((await verify(sql, await open(), { progress })).differences, 0);
  await undoRepair(sql, full.plan);
  const [restored] = await sql`select rating from subtasks where id = ${extra!.id}`;
  assert.equal(restored!.rating, 5, "a deleted row comes back with columns that no document has");
});

Deno.test("repair restores the bytes of quarantined documents", async () => {
  await using database = await createDatabase();
  await using dump = await makeEdgeCaseDump("odd");
  const { sql } = database;
  await load(sql, await openSource(dump.path), { progress });
  await sql`update migration.quarantine set original = 'x' where reason = 'missing_email'`;
  const made = await planRepair(sql, await openSource(dump.path), { progress });
  assert.deepEqual(made.steps.map(({ action }) => action), ["original"]);
  assert.equal((await applyRepair(sql, made)).applied, 1);
  assert.equal((await verify(sql, await openSource(dump.path), { progress })).differences, 0);
});

Deno.test("the command shows a plan, applies only that plan, verifies again, and undoes it", async () => {
  await using database = await createDatabase();
  const { sql, url } = database;
  const run = (...args: string[]) => runMigrate(url, "data", "repair", "--quiet", ...args);
  const none = await run("--from", generations);
  assert.equal(none.code, 1);
  assert.match(none.err, /this source has not been loaded/);
  await load(sql, await open(), { progress });
  assert.match((await run("--from", generations, "--apply")).out, /equal: nothing to repair/);
  await sql`update users set fullname = 'x' where email = 'admin@example.com'`;
  const shown = await run("--from", generations);
  assert.equal(shown.code, 4);
  const [, name] = /plan ([0-9a-f]{12}): 1 step,/.exec(shown.out)!;
  await sql`update users set fullname = 'y' where email = 'admin@example.com'`;
  const other = await run("--from", generations, "--apply", "--plan", name!);
  assert.equal(other.code, 1);
  assert.match(other.err, /changed since/);
  const done = await run("--from", generations, "--apply", "--json");
  assert.equal(done.code, 0, done.err);
  const { plan: applied, result, recheck } = JSON.parse(done.out);
  assert.deepEqual([result.applied, recheck.differences], [1, 0]);
  assert.match((await run("--undo", applied)).out, /1 step undone/);
  const [row] = await sql`select fullname from users where email = 'admin@example.com'`;
  assert.equal(row!.fullname, "y");
  assert.equal((await run("--undo", applied)).code, 1);
  assert.equal((await run()).code, 64);
});
