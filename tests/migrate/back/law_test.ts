/** The law over the way: documents → rows → documents, byte for byte, through real servers. */
import assert from "node:assert/strict";
import { createDatabase } from "../../support/database.ts";
import {
  assertSameDocuments,
  backOnce,
  compareSides,
  listRowless,
  makeEmpty,
  recordAll,
} from "../support/back.ts";
import { makeEdgeCases, startFollowed, syncOnce } from "../support/followed.ts";
import { mongod } from "../support/sources.ts";

const testBack = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: `the way back ${name}`, ignore: !mongod, fn });

testBack("gives every document of all generations back, byte for byte, into an empty database", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  await followed.insert(await makeEdgeCases());
  await syncOnce(sql, followed);
  await recordAll(sql);
  const empty = await makeEmpty(followed.db.client.db("empty"));
  const { refused } = await backOnce(sql, followed, { database: "empty" });
  assert.deepEqual(refused, []);
  await assertSameDocuments(empty, followed.db, await listRowless(sql));
  assert.equal((await sql`select from migration.changes`).length, 0);
  const verdict = await compareSides(sql, followed, "empty");
  assert.deepEqual(verdict.mismatches, []);
});

testBack("writes nothing where nothing changed, even if a change is recorded", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  await followed.insert(await makeEdgeCases());
  await syncOnce(sql, followed);
  await recordAll(sql);
  const { documents, refused } = await backOnce(sql, followed);
  assert.deepEqual(refused, []);
  assert.equal(documents, 0);
  assert.equal((await compareSides(sql, followed)).verdict, "equal");
});
