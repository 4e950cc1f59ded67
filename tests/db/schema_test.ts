import assert from "node:assert/strict";
import { migrateDown, migrateUp, readSteps } from "../../migrate/schema/runner.ts";
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
