import assert from "node:assert/strict";
import type { Pool } from "../../db/pg/connect.ts";
import { load } from "../../migrate/data/load/load.ts";
import { openSource } from "../../migrate/data/sources/open.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import type { Mismatch } from "../../migrate/data/verify/mismatch.ts";
import { verify } from "../../migrate/data/verify/verify.ts";
import { createDatabase } from "../support/database.ts";
import { type Damage, ledgerDamages, rowDamages } from "./support/damages.ts";
import { generations, runMigrate } from "./support/program.ts";
import { dumpFiles, makeEdgeCaseBson, makeFolder } from "./support/sources.ts";

const progress = silentProgress;

async function findMismatches(sql: Pool, path: string): Promise<Mismatch[]> {
  return (await verify(sql, await openSource(path), { progress })).mismatches;
}

assert.ok(rowDamages.length + ledgerDamages.length >= 60);

/** Asserts that verify finds each damage with the expected kind, path and cause. */
async function assertFound(damages: Damage[], path: string, t: Deno.TestContext): Promise<void> {
  await using database = await createDatabase({});
  await load(database.sql, await openSource(path), { progress });
  assert.deepEqual(await findMismatches(database.sql, path), []);
  await database.sql.end();
  const template = new URL(database.url).pathname.slice(1);
  for (const [what, statement, kind, pathPattern, cause = "outside_writer"] of damages) {
    await t.step(what, async () => {
      await using copy = await createDatabase({ template });
      assert.ok((await copy.sql.unsafe(statement)).count > 0, "the statement changed nothing");
      const mismatches = await findMismatches(copy.sql, path);
      assert.ok(mismatches.length > 0, "nothing was found");
      const shown = JSON.stringify(mismatches.slice(0, 3));
      assert.ok(
        mismatches.some((one) => one.kind === kind && pathPattern.test(one.path) && one.cause === cause),
        shown,
      );
      for (const { document_id, kind, source_value, row_value } of mismatches) {
        assert.ok(document_id !== "" || kind === "ledger_changed", shown);
        assert.notEqual(source_value, row_value, shown);
      }
    });
  }
}

Deno.test("verify finds each damage to a row, with its path, both values and the cause", (t) =>
  assertFound(rowDamages, generations, t));

Deno.test("verify finds each damage to the ledger", async (t) => {
  await using dump = await makeFolder(dumpFiles(await makeEdgeCaseBson()));
  await assertFound(ledgerDamages, dump.path, t);
});

Deno.test("verify prints both values, exits with 4, and stores the differences", async () => {
  await using database = await createDatabase();
  const { sql, url } = database;
  await load(sql, await openSource(generations), { progress });
  await sql`update users set fullname = 'someone else' where email = 'admin@example.com'`;
  const { code, out, err } = await runMigrate(url, "data", "verify", "--quiet", "--from", generations);
  assert.equal(code, 4);
  assert.match(out, /users .*changed .*fullname .*someone else/);
  assert.match(err, /1 difference between/);
  const [stored] = await sql`
    select v.verdict, d.path, d.source_value, d.row_value, d.cause
    from migration.verifications v
    join migration.differences d on d.verification_id = v.id`;
  assert.deepEqual({ ...stored }, {
    verdict: "different",
    path: "fullname",
    source_value: '"管理员"',
    row_value: '"someone else"',
    cause: "outside_writer",
  });
});

Deno.test("verify ignores rows that the new system created", async () => {
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
