import assert from "node:assert/strict";
import { Lease } from "../../../migrate/data/sync/lease.ts";
import { createDatabase } from "../../support/database.ts";
import { databaseName, makeEdgeCases, startFollowed, startSync, syncOnce } from "../support/followed.ts";
import { makeUser } from "../support/legacy_documents.ts";
import { startWriter } from "../support/live_writer.ts";
import { runMigrate } from "../support/program.ts";
import { mongod } from "../support/sources.ts";
import { verifyFollowed } from "../support/verify_live.ts";

const testLive = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: `verify --live ${name}`, ignore: !mongod, fn });

testLive("finds every edge case equal", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  await followed.insert(await makeEdgeCases());
  await syncOnce(sql, followed);
  const verdict = await verifyFollowed(sql, followed);
  assert.deepEqual(verdict.mismatches, []);
  assert.equal(verdict.differences + verdict.rechecked + verdict.changing, 0);
  const [exceptions] = await sql`
    select (select count(*)::int from migration.quarantine) as quarantined,
      (select count(*)::int from migration.waiting) as waiting`;
  assert.deepEqual({ quarantined: verdict.quarantined, waiting: verdict.waiting }, { ...exceptions });
  assert.ok(verdict.quarantined > 0 && verdict.waiting > 0);
  assert.equal(verdict.documents, verdict.rows + verdict.quarantined + verdict.waiting);
});

testLive("reports nothing while thousands of changes a second are applied", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  await followed.insert(await makeEdgeCases());
  await using writer = await startWriter(followed);
  await using _sync = startSync(sql, followed);
  await writer.waitForFollowing(sql);
  let rechecked = 0;
  for (let run = 0; run < 2; run++) {
    const verdict = await verifyFollowed(sql, followed);
    assert.deepEqual(verdict.mismatches, []);
    assert.equal(verdict.differences, 0);
    rechecked += verdict.rechecked;
  }
  assert.ok(rechecked > 0, "no document differed at first");
});

testLive("says what to do when it cannot tell a lag from a difference, or nothing is followed", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  await assert.rejects(
    verifyFollowed(sql, followed),
    /it is not followed; start 'deno task migrate data sync/,
  );
  await followed.db.collection("users").insertOne(makeUser("a@example.com"));
  await syncOnce(sql, followed);
  assert.equal(
    (await verifyFollowed(sql, followed)).verdict,
    "equal",
    "a sync is only needed if something differs",
  );
  await sql`update users set fullname = 'changed'`;
  await assert.rejects(
    verifyFollowed(sql, followed),
    /no sync is running; start 'deno task migrate data sync/,
  );
  {
    await using _lease = await Lease.acquire(sql, "sync");
    const short = { withoutSync: 1000, standstill: 500, lag: 60_000 };
    await assert.rejects(verifyFollowed(sql, followed, short), /the sync has applied nothing since 20/);
  }
  {
    await using _sync = startSync(sql, followed);
    const short = { withoutSync: 5000, standstill: 20_000, lag: 0 };
    await sql`update migration.follows set position = 0`;
    await assert.rejects(verifyFollowed(sql, followed, short), /stays behind the source/);
  }
  for (
    const [state, pattern] of [
      ["copying", /its first copy is not complete; start/],
      ["gap", /its position was lost, and sync has to compare both sides first/],
      ["stopped", /its sync was stopped: because/],
      ["ended", /it is not followed/],
    ] as const
  ) {
    await sql`update migration.follows set state = ${state}, stop_reason = ${
      state === "stopped" ? "because" : null
    }`;
    await assert.rejects(verifyFollowed(sql, followed), pattern, state);
  }
  await sql`update migration.follows set state = 'following', stop_reason = null, source_identity = 'other'`;
  await assert.rejects(
    verifyFollowed(sql, followed),
    /it is not the source that is followed: found 'rs.* wanted 'other'/,
  );
});

testLive("is named by a verify of a source that a sync follows", async () => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql, url } = database;
  await followed.db.collection("users").insertOne(makeUser("a@example.com"));
  await using sync = startSync(sql, followed);
  await sync.settle();
  const from = followed.mongo.url.replace("/?", `/${databaseName}?`);
  const rest = await runMigrate(url, "data", "verify", "--quiet", "--from", from);
  assert.equal(rest.code, 71);
  assert.match(
    rest.err,
    /a sync follows it, so its rows change while they are compared; use 'verify --live'/,
  );
  const live = await runMigrate(url, "data", "verify", "--live", "--quiet", "--from", from);
  assert.deepEqual([live.code, live.out], [
    0,
    "1 document: 1 compared with its row, 0 in quarantine, 0 waiting\nequal: no difference\n",
  ]);
  await sql`update users set fullname = 'changed'`;
  const different = await runMigrate(url, "data", "verify", "--live", "--quiet", "--json", "--from", from);
  assert.equal(different.code, 4);
  assert.match(different.err, /1 difference between the source and the rows/);
  const { verdict, mismatches, rechecked } = JSON.parse(different.out);
  assert.deepEqual({ verdict, rechecked, path: mismatches[0].path }, {
    verdict: "different",
    rechecked: 1,
    path: "fullname",
  });
});
