import assert from "node:assert/strict";
import { migrateDown, migrateUp, readSteps, type Step } from "../../migrate/schema/runner.ts";
import { createDatabase } from "../support/database.ts";

Deno.test("all steps migrate down to an empty schema and up again", async () => {
  await using database = await createDatabase();
  const names = (await readSteps()).map(({ name }) => name);
  assert.deepEqual(await migrateDown(database.sql, 0), names.toReversed());
  const left = await database.sql`
    select relname from pg_class where relnamespace = 'public'::regnamespace`;
  assert.equal(left.length, 0);
  assert.deepEqual(await migrateUp(database.sql), names);
  assert.deepEqual(await migrateUp(database.sql), []);
});

/** Returns the steps of this version and one more. */
async function withStep(up: string, { down = "select 1", transaction = true } = {}): Promise<Step[]> {
  const steps = await readSteps();
  const number = steps.length + 1;
  return [...steps, { number, name: `${number}_broken`, up, down, hash: "h", transaction }];
}

const failing: [what: string, up: string, transaction: boolean, wanted: RegExp][] = [
  [
    "a syntax error",
    "create table kept (id integer);\nselect 1;\n  creat table x ();",
    true,
    /^applying step '\d+_broken', line 3 'creat table x \(\);': syntax error at or near "creat"; nothing of this/,
  ],
  [
    "a relation that does not exist",
    "-- comment\nalter table nowhere add column x integer",
    true,
    /^applying step '\d+_broken': relation "nowhere" does not exist; nothing of this step was kept$/,
  ],
  [
    "an error outside a transaction",
    "-- no transaction\nselect 1 / 0",
    false,
    /^applying step '\d+_broken': division by zero; this step runs without a transaction/,
  ],
];
Deno.test("a failing step is named with its line, and keeps nothing of its transaction", async (t) => {
  await using database = await createDatabase();
  const { sql } = database;
  for (const [what, up, transaction, wanted] of failing) {
    await t.step(what, async () => {
      const steps = await withStep(up, { transaction });
      await assert.rejects(migrateUp(sql, { steps }), (error: Error & { code?: string }) => {
        assert.match(error.message, wanted);
        assert.match(error.code ?? "", /^[0-9A-Z]{5}$/);
        return true;
      });
      const [kept] = await sql`select to_regclass('kept') is null as nothing_kept`;
      assert.equal(kept!.nothing_kept, true);
    });
  }
  await t.step("a failing revert", async () => {
    const steps = await withStep("select 1", { down: "drop table nowhere" });
    await migrateUp(sql, { steps });
    await assert.rejects(
      migrateDown(sql, steps.length - 1, steps),
      /^Error: reverting step '\d+_broken': table "nowhere" does not exist; nothing/,
    );
  });
});
