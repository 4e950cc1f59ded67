/** The status of a followed source: the equation at a position, and what is told beside it. */
import assert from "node:assert/strict";
import type { Pool } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { countAtPosition, countSettled } from "../../../migrate/data/ledger/live_count.ts";
import { formatStatus, readStatus, type Status } from "../../../migrate/data/ledger/status.ts";
import { load } from "../../../migrate/data/load/load.ts";
import { openFollowed } from "../../../migrate/data/sources/mongo_follow.ts";
import { openSource } from "../../../migrate/data/sources/open.ts";
import { silentProgress } from "../../../migrate/data/tools/progress.ts";
import { createDatabase } from "../../support/database.ts";
import { waitFor } from "../../support/wait.ts";
import {
  databaseName,
  type Followed,
  makeEdgeCases,
  startFollowed,
  startSync,
  syncOnce,
} from "../support/followed.ts";
import { makeSubtask, makeTask, makeUser } from "../support/legacy_documents.ts";
import { runMigrate } from "../support/program.ts";
import { dumpFiles, makeFolder, mongod } from "../support/sources.ts";

const testStatus = (name: string, fn: () => Promise<void>) => Deno.test({ name, ignore: !mongod, fn });

const settle = (waitSeconds = 60) => ({
  waitSeconds,
  signal: new AbortController().signal,
  onWait: () => {},
});

async function readSettled(sql: Pool, { mongo }: Followed, waitSeconds?: number): Promise<Status> {
  await using source = await openFollowed(mongo.url, databaseName);
  return await readStatus(sql, await countSettled(sql, source, settle(waitSeconds)));
}

async function readAtPosition(sql: Pool, { mongo }: Followed): Promise<Status> {
  await using source = await openFollowed(mongo.url, databaseName);
  return await readStatus(sql, await countAtPosition(sql, source));
}

function assertBalanced(status: Status): void {
  assert.equal(status.verdict, "balanced", formatStatus(status));
  for (const one of status.following!.equation.collections) {
    const { documents, exact, adjusted, quarantined, waiting, excluded } = one;
    assert.equal(documents, exact + adjusted + quarantined + waiting + excluded, one.collection);
    assert.equal(one.difference, 0);
  }
}

testStatus(
  "the ledger of a followed source accounts for every document, at a position and at rest",
  async () => {
    await using database = await createDatabase();
    await using followed = await startFollowed();
    const { sql } = database;
    const { db } = followed;
    await followed.insert(await makeEdgeCases());
    await syncOnce(sql, followed);
    assertBalanced(await readAtPosition(sql, followed));
    const status = await readSettled(sql, followed);
    assertBalanced(status);
    const counts = new Map(status.following!.equation.collections.map((one) => [one.collection, one]));
    for (const [collection, { documents }] of counts) {
      assert.equal(documents, await db.collection(collection).countDocuments());
    }
    const subtasks = counts.get("dramatiq_tasks")!;
    assert.ok(subtasks.adjusted > 0 && subtasks.quarantined > 0 && subtasks.waiting > 0, "each kind occurs");
    // A quarantined document keeps the row of its last accepted version.
    const user = makeUser("kept@example.com");
    await db.collection("users").insertOne(user);
    await syncOnce(sql, followed);
    await db.collection("users").updateOne({ _id: user._id }, { $set: { email: 5 } });
    await syncOnce(sql, followed);
    const kept = await readSettled(sql, followed);
    assertBalanced(kept);
    assert.equal(kept.following!.equation.collections[0]!.kept, 1);
    assert.match(formatStatus(kept), /1 row of the last accepted version/);
    // Rows that were born here are no documents.
    await sql`insert into users (email, hashed_password) values ('born@example.com', 'x')`;
    assertBalanced(await readSettled(sql, followed));
  },
);

testStatus("a row that vanished or appeared unbalances the ledger of a quiet source", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  const task = makeTask("a@example.com");
  await followed.db.collection("users").insertMany([makeUser("a@example.com"), makeUser("b@example.com")]);
  await followed.db.collection("tasks").insertOne(task);
  await followed.db.collection("dramatiq_tasks").insertMany([0, 1, 2].map((i) => makeSubtask(task.id, i)));
  await syncOnce(sql, followed);
  assertBalanced(await readSettled(sql, followed));
  await sql`delete from subtasks where seed = 1`;
  const status = await readSettled(sql, followed);
  assert.equal(status.verdict, "unbalanced");
  assert.deepEqual(status.faults, [{ what: "dramatiq_tasks: documents", wanted: 3, found: 2 }]);
  assert.equal(status.following!.next_command, "sync --from mongodb");
  assert.equal((await readAtPosition(sql, followed)).verdict, "unproven", "changes could be under way");
  assert.equal((await readStatus(sql)).verdict, "unproven", "no MongoDB was asked");
});

testStatus(
  "the ledger is proven while a sync runs, and a source that goes on changing does not settle",
  async () => {
    await using database = await createDatabase();
    await using followed = await startFollowed();
    const { sql } = database;
    const { db } = followed;
    await using sync = startSync(sql, followed);
    await sync.settle();
    let isWriting = true;
    const write = async () => {
      for (let i = 0; isWriting; i++) {
        const task = makeTask("a@example.com");
        await db.collection("tasks").insertOne(task);
        await db.collection("dramatiq_tasks").insertOne(makeSubtask(task.id, i));
        if (i % 3 === 0) await db.collection("tasks").deleteOne({ _id: task._id });
      }
    };
    const writing = write();
    try {
      await assert.rejects(readSettled(sql, followed, 2), (error: AppError) => {
        assert.equal(error.code, "busy");
        assert.match(error.message, /after 2 s, (changes are still to be applied|the source is changing)/);
        return true;
      });
      const states = new Set<string>();
      await waitFor("a proof at a position", async () => {
        const { verdict, following } = await readAtPosition(sql, followed);
        states.add(following!.equation.state);
        assert.ok(["balanced", "unproven"].includes(verdict), verdict);
        return verdict === "balanced";
      });
    } finally {
      isWriting = false;
      await writing;
    }
    assertBalanced(await readSettled(sql, followed));
    const { following } = await readStatus(sql);
    assert.equal(following!.state, "following");
    assert.match(following!.process!.holder, /:\d+:/);
    assert.ok(following!.lag_seconds! < 10 && following!.events > 0 && following!.documents > 0);
  },
);

testStatus("a source that was loaded before is listed and not counted", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  const documents = await makeEdgeCases();
  await followed.insert(documents);
  await using folder = await makeFolder(dumpFiles(documents));
  await using source = await openSource(folder.path);
  await load(sql, source, { progress: silentProgress });
  assert.equal((await readStatus(sql)).following, null);
  await syncOnce(sql, followed);
  const status = await readSettled(sql, followed);
  assertBalanced(status);
  assert.ok(status.sources[0]!.superseded_at);
  assert.match(
    formatStatus(status),
    /: loaded before; since .* the followed source accounts for its documents/,
  );
  assert.deepEqual([status.following!.gaps.open, status.following!.gaps.healed], [0, 1]);
});

testStatus(
  "the command status tells position, lag, head-room, gaps, way back and the next command",
  async () => {
    await using database = await createDatabase();
    await using followed = await startFollowed();
    const { sql, url } = database;
    const from = `${followed.mongo.url.replace(/\/(\?.*)?$/, "")}/${databaseName}?directConnection=true`;
    await followed.db.collection("users").insertOne(makeUser("a@example.com"));
    const unfollowed = await runMigrate(url, "data", "status", "--settled", "--from", from);
    assert.equal(unfollowed.code, 64, unfollowed.err);
    const synced = await runMigrate(url, "data", "sync", "--from", from, "--once", "--accept-short-oplog");
    assert.equal(synced.code, 0, synced.err);
    const { code, out, err } = await runMigrate(url, "data", "status", "--from", from);
    assert.equal(code, 0, err);
    for (
      const line of [
        /^followed mongodb:\/\//m,
        /^ {2}state +following by its change stream since .*; no sync is running$/m,
        /^ {2}lag +\S.*; all changes up to 20.*Z are applied$/m,
        /^ {2}head-room +the position leaves the oplog in \d+ (d|h|min|s)/m,
        /^ {2}rates +0 changes\/s, 0 documents\/s; /m,
        /^ {2}gaps +none$/m,
        /^ {2}verified +never$/m,
        /^ {2}way back +changes made here are not captured$/m,
        /^users +1 +1 +0 +0 +0 +0$/m,
        /^balanced: every document is accounted for, at position 20/m,
        /^next: deno task migrate data sync --from mongodb$/m,
      ]
    ) assert.match(out, line);
    await sql`delete from users`;
    const settled = await runMigrate(url, "data", "status", "--from", from, "--settled", "30", "--quiet");
    assert.equal(settled.code, 3, settled.err + settled.out);
    assert.match(settled.out, /^✗ users: documents: wanted 1, found 0$/m);
    const json = await runMigrate(url, "data", "status", "--json");
    const { following, verdict } = JSON.parse(json.out);
    assert.equal(verdict, "unproven");
    assert.deepEqual([following.state, following.mode, following.process], ["following", "stream", null]);
    assert.ok(following.headroom_seconds > 0);
  },
);
