/** A load while something around it fails: the server, the old server, the disk, another migrator, a newer one. */
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

/** A load whose plan is stored, and nothing else: what waits for a range can be held. */
async function planOnly(url: string, { flags }: Dump): Promise<void> {
  assert.equal((await spawnMigrateTo("run.inserted", url, ...flags).output()).signal, "SIGKILL");
}

const until = async (condition: () => Promise<boolean>) => {
  while (!await condition()) await new Promise((go) => setTimeout(go, 5));
};

/** Starts a load that comes as far as its tenth range of subtasks and waits there. */
async function startHeld(sql: Pool, url: string, dump: Dump) {
  await planOnly(url, dump);
  await sql`select 1`;
  const held = await sql.reserve();
  await held`begin`;
  await held`select from migration.ranges where collection = 'dramatiq_tasks' and number = 10 for update`;
  const child = spawnMigrate(url, ...dump.flags);
  await until(async () =>
    (await sql`select from pg_stat_activity where wait_event_type = 'Lock' and query ilike '%migration.ranges%'
      and datname = current_database()`).length > 0
  );
  return { child, held };
}

async function judge(sql: Pool, path: string): Promise<void> {
  assert.equal((await readStatus(sql)).verdict, "balanced");
  const { differences, rows } = await verify(sql, await openSource(path), { progress });
  assert.equal(differences, 0);
  assert.ok(rows > documents);
}

Deno.test("PostgreSQL killed in a load: told, and after its recovery the same command ends it", async () => {
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
    const { child } = await startHeld(admin, url, dump);
    const [checkpointer] = await admin`select pid from pg_stat_activity where backend_type = 'checkpointer'`;
    // As when the server itself dies: every session ends at once, and the log is replayed.
    Deno.kill(checkpointer!.pid, "SIGKILL");
    const { code, stderr } = await child.output();
    assert.equal(code, 69, new TextDecoder().decode(stderr));
    assert.match(new TextDecoder().decode(stderr), /run the same command again/);
    await admin.end({ timeout: 0 });
    again = connect(url, { max: 2 });
    await until(() => again!`select 1`.then(() => true, () => false));
    assert.deepEqual((await readStatus(again)).faults, []);
    assert.equal((await runMigrate(url, ...dump.flags)).code, 0);
    await judge(again, dump.path);
  } finally {
    await admin.end({ timeout: 0 });
    await again?.end({ timeout: 0 });
  }
});

Deno.test("no room on the server's disk: told with an exit code of its own, and with room the load ends", async () => {
  await using dump = await makeBigDump();
  await using database = await createDatabase({ noDelay: true });
  const { sql, url } = database;
  await planOnly(url, dump);
  // A server that has no room refuses within the COPY, with this very code.
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
  assert.match(err, /it has no room \(could not extend file.*run the same command again/);
  const { faults, verdict } = await readStatus(sql);
  assert.deepEqual([faults, verdict], [[], "incomplete"]);
  await sql.unsafe("drop function refuse() cascade");
  assert.equal((await runMigrate(url, ...dump.flags)).code, 0);
  await judge(sql, dump.path);
});

Deno.test("two migrators at once: the second is turned away, the first ends", async () => {
  await using dump = await makeBigDump();
  await using database = await createDatabase({ noDelay: true });
  const { sql, url } = database;
  const { child, held } = await startHeld(sql, url, dump);
  for (const args of [dump.flags, ["data", "quarantine", "--replay", "--quiet"]]) {
    const { code, err } = await runMigrate(url, ...args);
    assert.equal(code, 75, err);
    assert.match(err, /another migrator/);
  }
  await held`commit`;
  held.release();
  assert.equal((await child.output()).code, 0);
  await judge(sql, dump.path);
});

Deno.test("another version of the migrator goes on by the plan that is stored", async () => {
  await using dump = await makeBigDump();
  await using database = await createDatabase({ noDelay: true });
  const { sql, url } = database;
  assert.equal((await spawnMigrateTo("range.committed:8", url, ...dump.flags).output()).signal, "SIGKILL");
  const list = () =>
    sql`select collection, number, lower_bound, upper_bound from migration.ranges order by 1, 2`;
  const planned = await list();
  const done = await sql`select count(*)::int as done from migration.ranges where state = 'done'`;
  assert.ok(done[0]!.done >= 8 && done[0]!.done < planned.length);
  // A version that cuts otherwise, and one whose rules call a generation by another name.
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
  await judge(sql, dump.path);
});

Deno.test({
  name:
    "mongod killed in a load: told, and a new one with the same documents is loaded from where it stopped",
  ignore: !mongod,
  fn: async () => {
    await using dump = await makeBigDump();
    await using database = await createDatabase({ noDelay: true });
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
    const striking = {
      ...silentProgress,
      add: (_bytes: number, done: number) => {
        if (done > 0 && ++ranges === 5) stopped = first.stop("SIGKILL");
      },
    };
    const pool = connect(database.url, { max: 2, noDelay: true });
    await assert.rejects(load(pool, source, { progress: striking, rangeBytes: 65_536 }), (error) => {
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

Deno.test("a load says what is off while rows come in", async () => {
  const path = await Deno.makeTempDir({ prefix: "contactsheet-dump-" });
  await using database = await createDatabase({ noDelay: true });
  try {
    writeDump(path, 5000);
    const { code, out } = await runMigrate(database.url, "data", "load", "--quiet", "--from", path);
    assert.equal(code, 0);
    assert.match(out, /^note: off while rows come in, put back at the end: .*subtasks_order_idx/m);
    assert.match(out, /subtasks_parent_task_id_fkey/);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});
