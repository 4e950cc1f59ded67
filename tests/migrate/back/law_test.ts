/** The law over the way: documents → rows → documents, byte for byte, through real servers. */
import assert from "node:assert/strict";
import type { Db, Document } from "mongodb";
import type { Pool } from "../../../db/pg/connect.ts";
import { disableCapture, enableCapture } from "../../../migrate/data/back/capture.ts";
import { writeBson } from "../../../migrate/data/documents/bson_write.ts";
import { readDocument } from "../../../migrate/data/documents/ejson_read.ts";
import { createDatabase } from "../../support/database.ts";
import {
  assertSameDocuments,
  backOnce,
  compareSides,
  listRowless,
  makeEmpty,
  recordAll,
} from "../support/back.ts";
import { assertFollowed, makeEdgeCases, startFollowed, syncOnce } from "../support/followed.ts";
import { generations } from "../support/program.ts";
import { type Documents, mongod } from "../support/sources.ts";

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

/** More of them with LAW_SEEDS, as `from-to`. */
const [firstSeed, lastSeed] = (Deno.env.get("LAW_SEEDS") ?? "1-3").split("-").map(Number) as [number, number];
const seeds = Array.from({ length: lastSeed - firstSeed + 1 }, (_, i) => firstSeed + i);

/** A generator of numbers below a maximum, the same for the same seed. */
function makeRandom(seed: number): (max: number) => number {
  let state = seed;
  return (max) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >>> 8) % max;
  };
}

/** Reads the documents of the sample, which has every generation. */
async function readSample(): Promise<Documents> {
  const read = async (collection: string) =>
    (await Deno.readTextFile(`${generations}/${collection}.json`)).trimEnd().split("\n").map((line) =>
      writeBson(readDocument(line))
    );
  return {
    users: await read("users"),
    tasks: await read("tasks"),
    dramatiq_tasks: await read("dramatiq_tasks"),
  };
}

/** Edits random documents as the old backend does. */
async function editDocuments(db: Db, random: (max: number) => number): Promise<void> {
  for (const [collection, edit] of oldEdits) {
    const ids = await db.collection(collection).find({}, { projection: { _id: 1 } }).sort({ _id: 1 })
      .toArray();
    for (let i = 0; i < 5 && ids.length > 0; i++) {
      const { _id } = ids[random(ids.length)]!;
      if (random(8) === 0) await db.collection(collection).deleteOne({ _id });
      else await db.collection(collection).updateOne({ _id }, { $set: edit(random) });
    }
  }
}

const oldEdits: [string, (random: (max: number) => number) => Document][] = [
  [
    "users",
    (random) => ({ fullname: `old ${random(100)}`, is_active: random(2) === 0, updated_at: new Date() }),
  ],
  [
    "tasks",
    (random) => ({
      task_name: `old ${random(100)}`,
      progress: random(100),
      priority: random(3),
      updated_at: new Date(),
    }),
  ],
  [
    "dramatiq_tasks",
    (random) => ({
      status: "failed",
      error: `old ${random(100)}`,
      retry_count: random(5),
      updated_at: new Date(),
    }),
  ],
];

/** Edits random rows as this system does. */
async function editRows(sql: Pool, random: (max: number) => number): Promise<void> {
  const pick = async (table: string, limit: number) => {
    const rows = await sql.unsafe<{ id: string }[]>(`select id from ${table} order by legacy_id`);
    return Array.from({ length: Math.min(limit, rows.length) }, () => rows[random(rows.length)]!.id);
  };
  await sql`update users set fullname = ${`new ${random(100)}`}, updated_at = now()
    where id = any (${await pick("users", 3)}::uuid[])`;
  await sql`update tasks set is_deleted = not is_deleted, priority = ${random(4)}, error = ${`new ${
    random(100)
  }`}
    where id = any (${await pick("tasks", 5)}::uuid[])`;
  await sql`update subtasks set status = 'completed', completed_at = now(), updated_at = now(), seed = ${
    random(1_000_000)
  },
      result = '{"url":"http://i/1","width":8.0,"height":12345678901}', image_url = 'http://i/1', retry_count = ${
    random(9)
  }
    where id = any (${await pick("subtasks", 10)}::uuid[])`;
  await sql`update subtasks set error = null, result = null, use_polish = not use_polish, ratio = null
    where id = any (${await pick("subtasks", 5)}::uuid[])`;
  await sql`delete from subtasks where id = any (${await pick("subtasks", 2)}::uuid[])`;
  await sql`delete from tasks where id = any (${await pick("tasks", 1)}::uuid[])`;
  await sql`insert into tasks (task_name, username, tags, variables, settings) values ('born', 'x', '[]', '{}', '{}')`;
  await sql`
    update tasks t
    set subtasks_total = c.total, subtasks_completed = c.completed, subtasks_failed = c.failed,
      subtasks_cancelled = c.cancelled
    from (
      select p.id, count(s.id) as total, count(*) filter (where s.status = 'completed') as completed,
        count(*) filter (where s.status = 'failed') as failed, count(*) filter (where s.status = 'cancelled') as cancelled
      from tasks p
      left join subtasks s on s.parent_task_id = p.id
      group by p.id
    ) as c
    where t.id = c.id and (t.subtasks_total, t.subtasks_completed, t.subtasks_failed, t.subtasks_cancelled)
      is distinct from (c.total, c.completed, c.failed, c.cancelled)`;
}

for (const seed of seeds) {
  testBack(`keeps both sides equal while each of them edits in turn (seed ${seed})`, async () => {
    await using database = await createDatabase();
    await using followed = await startFollowed();
    const { sql } = database;
    const { db } = followed;
    const random = makeRandom(seed);
    await followed.insert(await (seed % 2 === 0 ? makeEdgeCases() : readSample()));
    for (let round = 0; round < 4; round++) {
      await disableCapture(sql);
      await editDocuments(db, random);
      await syncOnce(sql, followed);
      // A task that is deleted here leaves its quarantined subtasks in MongoDB, with their first reason.
      if (seed % 2 === 1) await assertFollowed(sql, db);
      const before = await compareSides(sql, followed);
      assert.deepEqual(before.mismatches, [], `after a sync, round ${round}`);
      await enableCapture(sql);
      await editRows(sql, random);
      assert.deepEqual((await backOnce(sql, followed)).refused, []);
      const after = await compareSides(sql, followed);
      assert.deepEqual(after.mismatches, [], `after the way back, round ${round}`);
    }
  });
}
