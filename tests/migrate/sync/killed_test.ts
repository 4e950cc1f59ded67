/** Kills a sync with SIGKILL at every failpoint, and checks that the next one completes the work. */
import assert from "node:assert/strict";
import { type Db, MongoClient } from "mongodb";
import type { Pool } from "../../../db/pg/connect.ts";
import { startMongo } from "../../../dev/servers/mongo.ts";
import { type Failpoint, syncFailpoints } from "../../../migrate/data/tools/failpoint.ts";
import { createDatabase, type TestDatabase } from "../../support/database.ts";
import { assertFollowed, insertAll, makeEdgeCases } from "../support/followed.ts";
import { type Kill, kill, killAtEach } from "../support/kill.ts";
import { completed, makeSubtask, makeTask, makeUser } from "../support/legacy_documents.ts";
import { runMigrate } from "../support/program.ts";
import { mongod } from "../support/sources.ts";

const covered = new Set<string>();

function killsAt(...names: string[]): Kill[] {
  return names.map((name) => {
    const [point, pass = "1"] = name.split(":") as [Failpoint, string?];
    assert.ok(syncFailpoints.includes(point), point);
    covered.add(point);
    return { point, pass: Number(pass) };
  });
}

const between = (first: Failpoint, last: Failpoint) =>
  syncFailpoints.slice(syncFailpoints.indexOf(first), syncFailpoints.indexOf(last) + 1);

/** The lease of a killed process would end after ten seconds. */
const expireLease = (sql: Pool) => sql`update leaders set lease_until = now() - interval '1 s'`;

/** A database of the source for each database of the target, so that lanes do not disturb each other. */
class Sources implements AsyncDisposable {
  readonly client: MongoClient;
  #count = 0;

  private constructor(readonly mongo: Awaited<ReturnType<typeof startMongo>>) {
    this.client = new MongoClient(mongo.url);
  }

  static async start(replicaSet: boolean): Promise<Sources> {
    return new Sources(await startMongo(mongod!, { replicaSet }));
  }

  async create(): Promise<{ db: Db; args: string[] }> {
    const name = `old${this.#count++}`;
    await insertAll(this.mongo.url, name, await makeEdgeCases());
    const from = this.mongo.url.replace("/?", `/${name}?`);
    const args = ["sync", "--once", "--quiet", "--accept-short-oplog", "--from", from];
    return { db: this.client.db(name), args };
  }

  /** Creates a database without subtasks that have the same id, so that COPY inserts all of them. */
  async createDistinct(): Promise<{ db: Db; args: string[] }> {
    const source = await this.create();
    const subtasks = source.db.collection("dramatiq_tasks");
    const twins = await subtasks.aggregate([
      { $group: { _id: { $toLower: { $toString: "$id" } }, documents: { $push: "$_id" } } },
      { $match: { _id: { $ne: null }, "documents.1": { $exists: true } } },
    ]).toArray();
    await subtasks.deleteMany({ _id: { $in: twins.flatMap(({ documents }) => documents.slice(1)) } });
    return source;
  }

  async [Symbol.asyncDispose]() {
    await this.client.close();
    await this.mongo[Symbol.asyncDispose]();
  }
}

async function runToEnd({ url, sql }: TestDatabase, db: Db, args: string[]): Promise<void> {
  await expireLease(sql);
  const { code, err } = await runMigrate(url, "data", ...args);
  assert.equal(code, 0, err);
  await assertFollowed(sql, db);
}

/** Changes documents in every way that a sync treats differently. */
async function change(db: Db, number: number): Promise<void> {
  const [users, tasks, subtasks] = ["users", "tasks", "dramatiq_tasks"].map((name) => db.collection(name));
  const [a, b] = [makeUser(`a${number}@example.com`), makeUser(`b${number}@example.com`)];
  const task = makeTask(a.email);
  const cells = [0, 1, 2].map((i) => makeSubtask(task.id, i));
  await subtasks!.insertOne(cells[0]!);
  await users!.insertMany([a, b]);
  await tasks!.insertMany([task, Object.assign(makeTask(b.email), { task_name: "refused" })]);
  await subtasks!.insertMany(cells.slice(1));
  await subtasks!.updateOne({ _id: cells[1]!._id }, { $set: completed("https://x/1.webp") });
  await tasks!.updateMany({ username: { $ne: a.email } }, { $set: { priority: number } });
  await users!.updateOne({ _id: b._id }, { $set: { email: number } });
  const [earlier] = await tasks!.find({ task_name: "a task", id: { $ne: task.id } }).limit(1).toArray();
  if (earlier) await tasks!.deleteOne({ _id: earlier._id });
  await subtasks!.deleteOne({ _id: cells[2]!._id });
}

/** Makes the server refuse one kind of row. */
const refuseRows = (sql: Pool) =>
  sql.unsafe(`
    create function refuse() returns trigger language plpgsql as
      $$ begin raise exception 'refused' using errcode = '23514'; end $$;
    create trigger refuse before insert or update on tasks for each row when (new.task_name = 'refused')
      execute function refuse()`).simple();

Deno.test(
  { name: "a first copy that is killed anywhere is completed by the next run", ignore: !mongod },
  async () => {
    await using sources = await Sources.start(true);
    const kills = killsAt(
      "sync.lease_acquired",
      "sync.before_start",
      "sync.started",
      "sync.session_opened:2",
      "sync.parents_read:3",
      ...between("copy_all.page_read", "copy_all.following").filter((name) => name !== "copy_all.conflict"),
    );
    await killAtEach(kills, undefined, async (share, database) => {
      const { db, args } = await sources.createDistinct();
      for (const one of share) {
        await kill(one, database, args);
        await expireLease(database.sql);
      }
      await runToEnd(database, db, args);
    });
    await killAtEach(killsAt("copy_all.conflict"), undefined, async ([one], database) => {
      const { db, args } = await sources.create();
      await kill(one!, database, args);
      await runToEnd(database, db, args);
    });
  },
);

Deno.test(
  { name: "a sync that is killed while it applies changes loses none", ignore: !mongod },
  async () => {
    await using sources = await Sources.start(true);
    const kills = killsAt(
      "stream.opened",
      "stream.events_read",
      "stream.documents_read",
      ...between("sync.begun", "sync.caught_up"),
      "sync.stopped",
    );
    await killAtEach(kills, undefined, async (share, database) => {
      const { db, args } = await sources.create();
      await change(db, share.length);
      await runToEnd(database, db, args);
      await refuseRows(database.sql);
      for (const [number, one] of share.entries()) {
        await change(db, number);
        await kill(one, database, args);
        await expireLease(database.sql);
      }
      await database.sql`drop function refuse() cascade`;
      await db.collection("tasks").updateMany({ task_name: "refused" }, { $set: { task_name: "accepted" } });
      await runToEnd(database, db, args);
    });
  },
);

Deno.test({ name: "a comparison that is killed anywhere begins again", ignore: !mongod }, async () => {
  await using sources = await Sources.start(true);
  await killAtEach(
    killsAt(...between("gap.opened", "gap.closed").slice(1)),
    undefined,
    async (share, database) => {
      const { db, args } = await sources.create();
      await runToEnd(database, db, args);
      for (const [number, one] of share.entries()) {
        await change(db, number);
        await kill(one, database, [...args, "--restart"]);
        await expireLease(database.sql);
      }
      await runToEnd(database, db, args);
    },
  );
});

Deno.test({ name: "a poll that is killed is repeated", ignore: !mongod }, async () => {
  await using sources = await Sources.start(false);
  await using database = await createDatabase();
  const { db, args } = await sources.create();
  for (const one of killsAt("poll.read")) await kill(one, database, [...args, "--poll"]);
  await runToEnd(database, db, [...args, "--poll"]);
});

Deno.test({ name: "every failpoint of sync has a test that kills there", ignore: !mongod }, () => {
  // The oplog is overwritten in gap_test.ts; the chaos rig kills there.
  covered.add("gap.opened");
  assert.deepEqual(syncFailpoints.filter((name) => !covered.has(name)), []);
});
