/** A target that is restored from a backup while a MongoDB is followed. */
import assert from "node:assert/strict";
import { createDatabase } from "../../support/database.ts";
import { assertFollowed, makeEdgeCases, startFollowed, syncOnce } from "../support/followed.ts";
import { completed, makeSubtask, makeTask, makeUser } from "../support/legacy_documents.ts";
import { runMigrate } from "../support/program.ts";
import { mongod } from "../support/sources.ts";

Deno.test({
  name:
    "a sync continues at the position of the backup after a restore, in the same database and in another one",
  ignore: !mongod,
  fn: async () => {
    await using database = await createDatabase();
    await using other = await createDatabase();
    await using followed = await startFollowed();
    const { db } = followed;
    const task = makeTask("a@example.com");
    const subtasks = [0, 1, 2, 3].map((i) => makeSubtask(task.id, i));
    await followed.insert(await makeEdgeCases());
    await db.collection("tasks").insertOne(task);
    await db.collection("dramatiq_tasks").insertMany(subtasks);
    await syncOnce(database.sql, followed);
    const folder = await Deno.makeTempDir({ prefix: "contactsheet-restored-" });
    try {
      const made = await runMigrate(database.url, "data", "backup", "--quiet", "--to", `${folder}/one`);
      assert.equal(made.code, 0, made.err);
      await db.collection("dramatiq_tasks").updateOne({ _id: subtasks[0]!._id }, {
        $set: completed("https://x/1.webp"),
      });
      await db.collection("dramatiq_tasks").deleteOne({ _id: subtasks[1]!._id });
      await db.collection("users").insertOne(makeUser("later@example.com"));
      await syncOnce(database.sql, followed);
      await assertFollowed(database.sql, db);
      for (const { sql, url } of [database, other]) {
        const restored = await runMigrate(
          url,
          ...["data", "restore", "--quiet", "--backup", `${folder}/one`, "--replace"],
        );
        assert.equal(restored.code, 0, restored.err);
        assert.equal((await sql`select from users where email = 'later@example.com'`).length, 0);
        await syncOnce(sql, followed);
        await assertFollowed(sql, db);
        const [index] = await sql`
          select indisvalid from pg_index where indexrelid = to_regclass('subtasks_legacy_id_idx')`;
        assert.ok(index?.indisvalid, "the index that finds subtasks by _id");
        assert.equal((await sql`select from migration.gaps`).length, 0, "nothing was lost");
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
