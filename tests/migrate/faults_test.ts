/** Loads during failures: PostgreSQL or MongoDB dies, the disk is full, another or newer migrator runs. */
import assert from "node:assert/strict";
import { writeDump } from "../../bench/load/dump.ts";
import { connect, type Pool } from "../../db/pg/connect.ts";
import { AppError } from "../../errors.ts";
import { startMongo } from "../../dev/servers/mongo.ts";
import { startPostgres } from "../../dev/servers/postgres.ts";
import { writeBson } from "../../migrate/data/documents/bson_write.ts";
import { readDocument } from "../../migrate/data/documents/ejson_read.ts";
import { load } from "../../migrate/data/load/load.ts";
import { openSource } from "../../migrate/data/sources/open.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import { readStatus } from "../../migrate/data/ledger/status.ts";
import { verify } from "../../migrate/data/verify/verify.ts";
import { migrateUp } from "../../migrate/schema/runner.ts";
import { createDatabase } from "../support/database.ts";
import { waitFor } from "../support/wait.ts";
import { insertRaw } from "./support/mongo_raw.ts";
import { runMigrate, spawnMigrate, spawnMigrateTo } from "./support/program.ts";
import { mongod } from "./support/sources.ts";

const progress = silentProgress;
const documents = 2000;

interface Dump extends AsyncDisposable {
  path: string;
  flags: string[];
}

async function makeBigDump(): Promise<Dump> {
  const path = await Deno.makeTempDir({ prefix: "contactsheet-dump-" });
  writeDump(path, documents);
  return {
    path,
    flags: ["data", "load", "--quiet", "--from", path, "--range-bytes", "65536"],
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/** Runs a load that is killed once its plan is stored, so that a test can lock rows of the plan. */
async function storePlan(url: string, { flags }: Dump): Promise<void> {
  assert.equal((await spawnMigrateTo("run.inserted", url, ...flags).output()).signal, "SIGKILL");
}

/** Starts a load that waits for a row lock at its tenth range of subtasks. */
async function startBlocked(sql: Pool, url: string, dump: Dump) {
  await storePlan(url, dump);
  await sql`select 1`;
  const blocker = await sql.reserve();
  await blocker`begin`;
  await blocker`select from migration.ranges where collection = 'dramatiq_tasks' and number = 10 for update`;
  const child = spawnMigrate(url, ...dump.flags);
  await waitFor("the load to wait for the lock", async () => {
    const blocked = await sql`
      select
      from pg_stat_activity
      where wait_event_type = 'Lock' and query ilike '%migration.ranges%' and datname = current_database()`;
    return blocked.length > 0;
  });
  return { child, blocker };
}

/** Asserts that the load is complete and equal to its source. */
async function assertLoaded(sql: Pool, path: string): Promise<void> {
  assert.equal((await readStatus(sql)).verdict, "balanced");
  const { differences, rows } = await verify(sql, await openSource(path), { progress });
  assert.equal(differences, 0);
  assert.ok(rows > documents);
}

Deno.test("a load ends with exit 69 when PostgreSQL dies, and the same command completes it after recovery", async () => {
  await using dump = await makeBigDump();
  await using server = await startPostgres({
    folder: await Deno.makeTempDir({ prefix: "contactsheet-pg-" }),
    keep: false,
  });
  const url = server.url("postgres");
  const admin = connect(url, { max: 2 });
  let again: Pool | undefined;
  try {
    await migrateUp(admin);
    const { child } = await startBlocked(admin, url, dump);
    const [checkpointer] = await admin`select pid from pg_stat_activity where backend_type = 'checkpointer'`;
    // When the checkpointer dies, the server ends all sessions and replays its log, as after a crash.
    Deno.kill(checkpointer!.pid, "SIGKILL");
    const { code, stderr } = await child.output();
    assert.equal(code, 69, new TextDecoder().decode(stderr));
    assert.match(new TextDecoder().decode(stderr), /run the same command again/);
    await admin.end({ timeout: 0 });
    again = connect(url, { max: 2 });
    await waitFor("PostgreSQL to recover", () => again!`select 1`.then(() => true, () => false));
    assert.deepEqual((await readStatus(again)).faults, []);
    assert.equal((await runMigrate(url, ...dump.flags)).code, 0);
    await assertLoaded(again, dump.path);
  } finally {
    await admin.end({ timeout: 0 });
    await again?.end({ timeout: 0 });
  }
});

Deno.test("a load ends with exit 74 when the disk is full, and the same command completes it later", async () => {
  await using dump = await makeBigDump();
  await using database = await createDatabase({});
  const { sql, url } = database;
  await storePlan(url, dump);
  // A server with a full disk raises this error within the COPY.
  await sql.unsafe(`
    create sequence seen;
    create function refuse() returns trigger language plpgsql as $$ begin
      if nextval('seen') > 1000 then
        raise exception using errcode = '53100', message = 'could not extend file: No space left on device';
      end if;
      return new;
    end $$;
    create trigger refuse before insert on subtasks for each row execute function refuse()`);
  const { code, err } = await runMigrate(url, ...dump.flags);
  assert.equal(code, 74, err);
  assert.match(err, /the disk is full \(could not extend file.*run the same command again/);
  const { faults, verdict } = await readStatus(sql);
  assert.deepEqual([faults, verdict], [[], "incomplete"]);
  await sql.unsafe("drop function refuse() cascade");
  assert.equal((await runMigrate(url, ...dump.flags)).code, 0);
  await assertLoaded(sql, dump.path);
});

Deno.test("a second migrator fails with busy while the first one works, and the first one completes", async () => {
  await using dump = await makeBigDump();
  await using database = await createDatabase({});
  const { sql, url } = database;
  const { child, blocker } = await startBlocked(sql, url, dump);
  for (const args of [dump.flags, ["data", "quarantine", "--replay", "--quiet"]]) {
    const { code, err } = await runMigrate(url, ...args);
    assert.equal(code, 75, err);
    assert.match(err, /another migrator/);
  }
  await blocker`commit`;
  blocker.release();
  assert.equal((await child.output()).code, 0);
  await assertLoaded(sql, dump.path);
});

Deno.test("another version of the migrator continues with the stored plan", async () => {
  await using dump = await makeBigDump();
  await using database = await createDatabase({});
  const { sql, url } = database;
  assert.equal((await spawnMigrateTo("range.committed:8", url, ...dump.flags).output()).signal, "SIGKILL");
  const list = () =>
    sql`select collection, number, lower_bound, upper_bound from migration.ranges order by 1, 2`;
  const planned = await list();
  const done = await sql`select count(*)::int as done from migration.ranges where state = 'done'`;
  assert.ok(done[0]!.done >= 8 && done[0]!.done < planned.length);
  // Simulates a version with other range sizes and one whose rules give a generation another name.
  await sql`update subtasks set generation = 'S0'`;
  const { code, err } = await runMigrate(url, ...dump.flags.slice(0, -1), "1048576");
  assert.equal(code, 0, err);
  assert.deepEqual(await list(), planned);
  assert.equal((await readStatus(sql)).verdict, "balanced");
  const { mismatches, differences } = await verify(sql, await openSource(dump.path), { progress });
  const [old] = await sql`select count(*)::int as rows from subtasks where generation = 'S0'`;
  assert.ok(old!.rows > 0 && differences >= old!.rows);
  assert.ok(mismatches.every(({ kind }) => kind === "changed"));
  await sql`update subtasks set generation = 'S4' where generation = 'S0'`;
  await assertLoaded(sql, dump.path);
});

Deno.test({
  name: "a load fails when MongoDB dies, and continues with a new server that holds the same documents",
  ignore: !mongod,
  fn: async () => {
    await using dump = await makeBigDump();
    await using database = await createDatabase({});
    const { sql } = database;
    const start = async () => {
      const server = await startMongo(mongod!);
      for (const collection of ["users", "tasks", "dramatiq_tasks"]) {
        const lines = (await Deno.readTextFile(`${dump.path}/${collection}.json`)).trimEnd().split("\n");
        const bson = lines.map((line) => writeBson(readDocument(line)));
        await insertRaw(server.url, { database: "old", collection, documents: bson });
      }
      return server;
    };
    const open = (url: string) =>
      openSource(
        `${url.replace("/?", "/old?")}&serverSelectionTimeoutMS=2000`,
        () => ({ MONGODB_URL: "", DB_NAME: "old" }),
      );
    await using first = await start();
    await using source = await open(first.url);
    let ranges = 0;
    let stopped: Promise<void> | undefined;
    const killingProgress = {
      ...silentProgress,
      add: (_bytes: number, done: number) => {
        if (done > 0 && ++ranges === 5) stopped = first.stop("SIGKILL");
      },
    };
    const pool = connect(database.url, { max: 2 });
    await assert.rejects(load(pool, source, { progress: killingProgress, rangeBytes: 65_536 }), (error) => {
      assert.ok(error instanceof AppError, String(error));
      assert.equal(error.code, "database_unreachable");
      assert.match(error.message, /same command again/);
      return true;
    });
    await stopped;
    await pool.end({ timeout: 1 });
    const status = await readStatus(sql);
    assert.deepEqual([status.faults, status.verdict], [[], "incomplete"]);
    await using second = await start();
    await using again = await open(second.url);
    const rest = await load(sql, again, { progress, rangeBytes: 65_536 });
    assert.ok(rest.documents > 0 && rest.documents <= documents);
    assert.equal((await readStatus(sql)).verdict, "balanced");
    assert.equal((await verify(sql, again, { progress })).differences, 0);
  },
});

Deno.test("load() names the indexes and constraints that it has dropped", async () => {
  const path = await Deno.makeTempDir({ prefix: "contactsheet-dump-" });
  await using database = await createDatabase({});
  try {
    writeDump(path, 5000);
    const { code, out } = await runMigrate(database.url, "data", "load", "--quiet", "--from", path);
    assert.equal(code, 0);
    assert.match(out, /^note: dropped during the load, recreated at the end: .*subtasks_order_idx/m);
    assert.match(out, /subtasks_parent_task_id_fkey/);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});
