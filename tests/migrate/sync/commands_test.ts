/** Commands of the ledger while a MongoDB is followed, and afterwards. */
import assert from "node:assert/strict";
import { serialize } from "bson";
import { decideUnfinished } from "../../../migrate/data/ledger/unfinished.ts";
import { makeReport } from "../../../migrate/data/ledger/report.ts";
import { createDatabase } from "../../support/database.ts";
import { assertFollowed, makeEdgeCases, startFollowed, startSync, syncOnce } from "../support/followed.ts";
import { makeSubtask, makeTask, makeUser } from "../support/legacy_documents.ts";
import { runMigrate } from "../support/program.ts";
import { mongod } from "../support/sources.ts";

const testCommand = (name: string, fn: () => Promise<void>) => Deno.test({ name, ignore: !mongod, fn });

testCommand("while a sync runs, commands that write name it and are refused", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql, url } = database;
  const task = makeTask("a@example.com");
  await followed.db.collection("tasks").insertOne(task);
  await followed.db.collection("dramatiq_tasks").insertOne(makeSubtask(task.id));
  await using sync = startSync(sql, followed);
  await sync.settle();
  // The command holds the lock that this sync, which no command began, does not.
  const lock = await sql.reserve();
  await lock`select pg_advisory_lock_shared(${0x636f6e75})`;
  try {
    const replayed = await runMigrate(url, "data", "quarantine", "--replay");
    assert.equal(replayed.code, 75);
    assert.match(
      replayed.err,
      /replaying: 'sync' \(process .*\) is working .* until it is stopped; stop it with Ctrl-C/,
    );
  } finally {
    lock.release();
  }
  const resumed = await runMigrate(url, "data", "unfinished", "resume");
  assert.equal(resumed.code, 75);
  assert.match(resumed.err, /follows the old backend, which still works on these tasks/);
  assert.equal((await decideUnfinished(sql, "keep")).held.length, 1);
});

testCommand("quarantine and report tell followed documents by _id and count each once", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql, url } = database;
  await followed.insert(await makeEdgeCases());
  await syncOnce(sql, followed);
  const { code, out, err } = await runMigrate(url, "data", "quarantine");
  assert.equal(code, 0, err);
  assert.doesNotMatch(out, /\(position /);
  const replayed = await runMigrate(url, "data", "quarantine", "--replay", "--quiet");
  assert.match(
    replayed.out,
    /^\d+ documents of the followed source: 'sync' tries them again when it starts$/m,
  );
  const { adjustments } = await makeReport(sql, { secretKey: "", onRows: () => {} });
  const wanted = await sql`
    select collection, rule, path, count(distinct document_id)::int as documents
    from migration.adjustments group by 1, 2, 3 order by 1, 2, 3`;
  assert.deepEqual(adjustments, [...wanted]);
});

testCommand("a sync that starts takes documents out of quarantine that the rules accept now", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  const { db } = followed;
  const user = makeUser("a@example.com");
  await db.collection("users").insertMany([user, Object.assign(makeUser(""), { email: 5 }) as never]);
  await syncOnce(sql, followed);
  const [kept] = await sql`select id, first_at::text as first_at from migration.quarantine`;
  // As an earlier version of the rules would have left it.
  await sql`delete from users`;
  await sql`
    insert into migration.quarantine
      (fingerprint, collection, range_number, position, document_id, reason, path, detail, original)
    select fingerprint, 'users', 0, nextval('migration.live_positions'), ${`{"$oid":"${user._id}"}`}, 'old_rule', '', '',
      decode(${serialize(user).toBase64()}, 'base64')
    from migration.follows`;
  await syncOnce(sql, followed);
  await assertFollowed(sql, db);
  assert.equal((await sql`select from users where email = 'a@example.com'`).length, 1);
  const rest = await sql`select id, first_at::text as first_at from migration.quarantine`;
  assert.deepEqual([...rest], [kept], "the other one keeps its entry");
});
