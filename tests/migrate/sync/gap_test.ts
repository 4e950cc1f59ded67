import assert from "node:assert/strict";
import { MongoClient } from "mongodb";
import { hashDocument } from "../../../migrate/data/documents/mongo_hash.ts";
import { load } from "../../../migrate/data/load/load.ts";
import { openSource } from "../../../migrate/data/sources/open.ts";
import { silentProgress } from "../../../migrate/data/tools/progress.ts";
import { createDatabase } from "../../support/database.ts";
import {
  assertFollowed,
  makeEdgeCases,
  overwriteOplog,
  readAll,
  startFollowed,
  syncOnce,
} from "../support/followed.ts";
import { completed, makeSubtask, makeTask, makeUser } from "../support/legacy_documents.ts";
import { dumpFiles, makeFolder, mongod } from "../support/sources.ts";

const testGap = (name: string, fn: () => Promise<void>) => Deno.test({ name, ignore: !mongod, fn });

testGap("hashDocument() computes what the server computes", async () => {
  await using followed = await startFollowed();
  await followed.insert(await makeEdgeCases());
  for (const collection of ["users", "tasks", "dramatiq_tasks"]) {
    const hashes = await followed.db.collection(collection)
      .aggregate([{ $sort: { _id: 1 } }, { $project: { h: { $toHashedIndexKey: "$$ROOT" } } }], {
        useBigInt64: true,
      })
      .toArray();
    const documents = await readAll(followed.db, collection);
    let compared = 0;
    for (const [i, document] of documents.entries()) {
      const hash = hashDocument(document);
      if (hash === undefined) continue;
      assert.equal(hash, hashes[i]!.h);
      compared++;
    }
    assert.ok(compared > documents.length / 2);
  }
});

testGap("a position that left the oplog is found, and only what differs is read again", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed({ replicaSet: true, oplogMb: 1 });
  const { sql } = database;
  const { db } = followed;
  const task = makeTask("a@example.com");
  const subtasks = Array.from({ length: 500 }, (_, i) => makeSubtask(task.id, i));
  await followed.insert(await makeEdgeCases());
  await db.collection("tasks").insertOne(task);
  await db.collection("dramatiq_tasks").insertMany(subtasks);
  await syncOnce(sql, followed);
  await db.collection("dramatiq_tasks").updateMany({ seed: { $in: [1, 2, 3] } }, {
    $set: completed("https://x/1.webp"),
  });
  // Without `updated_at`, and to a value of the same size.
  await db.collection("dramatiq_tasks").updateOne({ _id: subtasks[10]!._id }, { $set: { retry_count: 1 } });
  await db.collection("dramatiq_tasks").deleteOne({ _id: subtasks[11]!._id });
  await db.collection("users").insertOne(makeUser("new@example.com"));
  await overwriteOplog(followed);
  await syncOnce(sql, followed);
  await assertFollowed(sql, db);
  const [gap] =
    await sql`select compared::int, applied::int, healed_at is not null as healed from migration.gaps`;
  assert.equal(gap!.healed, true);
  assert.ok(gap!.compared > 800, String(gap!.compared));
  assert.ok(gap!.applied < 20, `${gap!.applied} documents were read in full`);
});

testGap("documents that were loaded at rest are taken over, with those that changed since", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  const { db } = followed;
  const documents = await makeEdgeCases();
  await using folder = await makeFolder(dumpFiles(documents));
  {
    await using source = await openSource(folder.path);
    await load(sql, source, { progress: silentProgress });
  }
  await followed.insert(documents);
  await db.collection("dramatiq_tasks").updateMany({ status: "pending" }, { $set: { status: "failed" } });
  await db.collection("tasks").deleteOne({ status: "completed" });
  await syncOnce(sql, followed);
  await assertFollowed(sql, db);
  const [source] =
    await sql`select superseded_at is not null as superseded from migration.sources where kind <> 'followed'`;
  assert.equal(source!.superseded, true);
});

testGap("rows of another database are not taken over", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  await using folder = await makeFolder(dumpFiles(await makeEdgeCases()));
  {
    await using source = await openSource(folder.path);
    await load(sql, source, { progress: silentProgress });
  }
  await followed.db.collection("tasks").insertOne(makeTask("a@example.com"));
  const before = await sql`select count(*)::int as n from subtasks`;
  await assert.rejects(
    syncOnce(sql, followed),
    /the rows of the target come from another database, since only 0 of/,
  );
  assert.deepEqual(await sql`select count(*)::int as n from subtasks`, before);
  assert.equal((await sql`select from migration.follows`).length, 0);
});

testGap(
  "a source whose collection is dropped or renamed stops the sync, and --restart continues",
  async () => {
    for (const end of ["drop", "rename", "dropDatabase"] as const) {
      await using database = await createDatabase();
      await using followed = await startFollowed();
      const { sql } = database;
      const { db, mongo } = followed;
      const task = makeTask("a@example.com");
      await db.collection("tasks").insertOne(task);
      await db.collection("dramatiq_tasks").insertOne(makeSubtask(task.id));
      await syncOnce(sql, followed);
      if (end === "drop") await db.collection("dramatiq_tasks").drop();
      else if (end === "rename") await db.collection("tasks").rename("elsewhere");
      else await db.dropDatabase();
      await using client = new MongoClient(mongo.url);
      for (const name of ["users", "tasks", "dramatiq_tasks"]) {
        await client.db(db.databaseName).createCollection(name).catch(() => {});
      }
      await assert.rejects(
        syncOnce(sql, followed),
        /was dropped|was renamed|not the source that was followed/,
        end,
      );
      const rows = await sql`select from subtasks`;
      assert.equal(rows.length, 1, "the rows are kept");
      await assert.rejects(syncOnce(sql, followed), /--restart/);
      await db.collection("users").insertOne(makeUser("a@example.com"));
      await db.collection("tasks").deleteMany({});
      await db.collection("tasks").insertOne(task);
      await syncOnce(sql, followed, { restart: true });
      await assertFollowed(sql, db);
    }
  },
);

testGap("a standalone is followed by polls, and its deletions are found by a comparison", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed({ replicaSet: false });
  const { sql } = database;
  const { db } = followed;
  await assert.rejects(
    syncOnce(sql, followed),
    /standalone server, which has no change streams; start it with --replSet/,
  );
  await followed.insert(await makeEdgeCases());
  await syncOnce(sql, followed, { mode: "poll" });
  await assertFollowed(sql, db);
  const task = makeTask("a@example.com");
  await db.collection("tasks").insertOne(Object.assign(task, { updated_at: new Date() }));
  await db.collection("dramatiq_tasks").insertOne(
    Object.assign(makeSubtask(task.id), { updated_at: new Date() }),
  );
  await syncOnce(sql, followed, { mode: "poll" });
  await assertFollowed(sql, db);
  await db.collection("dramatiq_tasks").deleteMany({ parent_task_id: task.id });
  await syncOnce(sql, followed, { mode: "poll", restart: true });
  await assertFollowed(sql, db);
});
