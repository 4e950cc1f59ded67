/** Both systems for tests of the switch: MongoDB, a played old backend, PostgreSQL, an API process, a sync. */
import assert from "node:assert/strict";
import { type Document, ObjectId } from "mongodb";
import { type Config, parseConfig } from "../../../config.ts";
import { type OldBackend, startOldBackend } from "../../../dev/servers/old_backend.ts";
import type { Pool } from "../../../db/pg/connect.ts";
import { listFrontProcesses } from "../../../db/traffic/processes.ts";
import { changeTraffic, type Phase, readTraffic, type Traffic } from "../../../db/traffic/traffic.ts";
import { callHttp } from "../../../http.ts";
import type { SwitchContext } from "../../../migrate/data/cutover/context.ts";
import { cutOver } from "../../../migrate/data/cutover/cutover.ts";
import { saveAcceptances, saveBackup } from "../../../migrate/data/cutover/decisions.ts";
import { optionsDefault, type SwitchOptions } from "../../../migrate/data/cutover/options.ts";
import { openFollowed } from "../../../migrate/data/sources/mongo_follow.ts";
import { isWriteBlocked } from "../../../migrate/data/sources/write_block.ts";
import { silentProgress } from "../../../migrate/data/tools/progress.ts";
import { verifyLive } from "../../../migrate/data/verify/live.ts";
import { secret, startApi, type TestApi } from "../../support/api.ts";
import { createDatabase, type TestDatabase } from "../../support/database.ts";
import { waitFor } from "../../support/wait.ts";
import { databaseName, type Followed, startFollowed, startSync } from "../support/followed.ts";
import { makeSubtask, makeTask, makeUser } from "../support/legacy_documents.ts";

const decoder = new TextDecoder();
const mainPath = new URL("../../../migrate/main.ts", import.meta.url).pathname;
const failpointPath = new URL("../support/failpoint.ts", import.meta.url).pathname;

/** Starts the played old backend on the MongoDB of a test. Nothing draws: only calls write. */
export const startOld = ({ mongo }: Pick<Followed, "mongo">): Promise<OldBackend> =>
  startOldBackend({ mongoUrl: mongo.url, database: databaseName, secret, executor: { slots: 0 } });

/** A process of the migrator. */
export interface Running extends AsyncDisposable {
  child: Deno.ChildProcess;
  /** Ends it with a signal. */
  stop(signal?: Deno.Signal): Promise<{ code: number; signal: Deno.Signal | null; out: string; err: string }>;
  ended: Promise<{ code: number; signal: Deno.Signal | null; out: string; err: string }>;
}

export interface Rig extends AsyncDisposable {
  followed: Followed;
  database: TestDatabase;
  sql: Pool;
  old: OldBackend;
  api: TestApi;
  config: Config;
  /** Ids of the tasks, each owned by `owner@example.com`. */
  tasks: string[];
  token: string;
  /** Runs `migrate` with arguments, after DATABASE_URL and the rest are set. `input` is what the operator types. */
  start(args: string[], failpoint?: string, input?: string): Running;
  run(...args: string[]): Promise<{ code: number; out: string; err: string }>;
  /** Runs `migrate data` on this MongoDB. */
  data(...args: string[]): Promise<{ code: number; out: string; err: string }>;
  context(): Promise<SwitchContext & AsyncDisposable>;
  /** Deletes a task through the API, or what stands before it, and returns the status. */
  remove(id: string, origin?: string): Promise<number>;
  /** Ids of the tasks whose deletion was acknowledged. */
  removed: string[];
}

/** Settings of the migrator. */
export const environment = (rig: { database: TestDatabase; followed: Followed; old: OldBackend }) => ({
  DATABASE_URL: rig.database.url,
  MONGODB_URL: rig.followed.mongo.url,
  DB_NAME: databaseName,
  LEGACY_API_URL: rig.old.origin,
  SECRET_KEY: secret,
  ADMIN_PORT: "0",
  USER: "tester",
});

/** Starts a process of the migrator. `input` is what the operator types. */
export function spawn(
  env: Record<string, string>,
  args: string[],
  { failpoint, input }: { failpoint?: string | undefined; input?: string | undefined } = {},
): Running {
  const preload = failpoint === undefined ? [] : ["--preload", failpointPath];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", "--no-check", ...preload, mainPath, ...args],
    env: Object.assign({}, env, failpoint === undefined ? {} : { FAILPOINT: failpoint }),
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  if (input !== undefined) void new Blob([input]).stream().pipeTo(child.stdin).catch(() => {});
  let isOver = false;
  const ended = child.output().then(({ code, signal, stdout, stderr }) => {
    isOver = true;
    return { code, signal, out: decoder.decode(stdout), err: decoder.decode(stderr) };
  });
  const stop = (signal: Deno.Signal = "SIGTERM") => {
    if (!isOver) child.kill(signal);
    return ended;
  };
  return { child, stop, ended, [Symbol.asyncDispose]: async () => void await stop("SIGKILL") };
}

/** Inserts tasks with three pending subtasks each. @returns their ids */
export async function fill({ db }: Followed, count: number): Promise<string[]> {
  const user = makeUser("owner@example.com");
  await db.collection("users").insertOne(user as Document);
  const tasks = Array.from({ length: count }, () => makeTask(user.email));
  await db.collection("tasks").insertMany(tasks as Document[]);
  const subtasks = tasks.flatMap(({ id }) => Array.from({ length: 3 }, (_, i) => makeSubtask(id, i)));
  await db.collection("dramatiq_tasks").insertMany(subtasks as Document[]);
  return tasks.map(({ id }) => id);
}

/**
 * Starts both systems in phase `old`. Nothing is followed yet.
 *
 * @param front whether the API stands before the old backend
 */
export async function startRig(
  { tasks: count = 20, front = true }: { tasks?: number; front?: boolean } = {},
): Promise<Rig> {
  const stack = new AsyncDisposableStack();
  const followed = stack.use(await startFollowed());
  const database = stack.use(await createDatabase());
  const tasks = await fill(followed, count);
  const old = stack.use(await startOld(followed));
  const env = environment({ database, followed, old });
  const api = stack.use(await startApi({ database, env: front ? { LEGACY_API_URL: old.origin } : {} }));
  const token = await api.tokens.sign({ sub: new ObjectId().toHexString(), email: "owner@example.com" });
  const config = parseConfig(env, "migrate");
  const removed: string[] = [];
  const run = async (...args: string[]) => {
    await using running = spawn(env, args);
    return await running.ended;
  };
  return {
    followed,
    database,
    sql: database.sql,
    old,
    api,
    config,
    tasks,
    token,
    start: (args, failpoint, input) => spawn(env, args, { failpoint, input }),
    run,
    data: (...args) => run("data", ...args),
    async context() {
      const source = await openFollowed(followed.mongo.url, databaseName);
      return {
        pool: database.sql,
        source,
        config,
        http: callHttp,
        by: "test",
        onNote() {},
        signal: new AbortController().signal,
        [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
      };
    },
    async remove(id, origin = api.origin) {
      const response = await fetch(`${origin}/api/v1/tasks/${id}`, {
        method: "DELETE",
        headers: { authorization: `Bearer ${token}` },
      });
      await response.body?.cancel();
      if (response.status === 200) removed.push(id);
      return response.status;
    },
    removed,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Waits until the sync has applied everything. */
export async function waitFollowing({ sql }: Pick<Rig, "sql">): Promise<void> {
  await waitFor("the sync to follow", async () => {
    const [row] = await sql`
      select from migration.follows f
      where f.state = 'following' and f.lag_ms < 1000 and f.applied_at > now() - interval '2 s'
        and exists (select from leaders where role = 'sync' and lease_until > now())`;
    return row !== undefined;
  }, 60_000);
}

/** Cuts over, with a sync in this process. */
export async function switchOver(rig: Rig): Promise<void> {
  await using _sync = startSync(rig.sql, rig.followed);
  await makeReady(rig);
  await using context = await rig.context();
  await cutOver(context, keep());
}

/** Starts the process of the way back, and waits until it has its lease. */
export async function startBack(rig: Rig): Promise<Running> {
  const running = rig.start(["data", "back", "--to", "mongodb", "--quiet"]);
  await waitFor("the way back", async () => {
    const [row] = await rig.sql`select from leaders where role = 'back' and lease_until > now()`;
    return row !== undefined;
  }, 30_000);
  return running;
}

/** What only a person can know. */
export const accepted = [
  "disk_headroom",
  "redis_reachable",
  "worker_present",
  "backup_restored",
  "shadow_compared",
  "oplog_known",
  "oplog_headroom",
];

/** Makes every check of the gate ready. A sync must be running. */
export async function makeReady(rig: Pick<Rig, "sql" | "context">): Promise<void> {
  const { sql } = rig;
  await waitFollowing(rig);
  await using context = await rig.context();
  const verdict = await verifyLive(sql, context.source, { progress: silentProgress });
  assert.equal(verdict.verdict, "equal", JSON.stringify(verdict.mismatches.slice(0, 4)));
  await saveBackup(sql, "/backup", "test");
  await saveAcceptances(context, accepted);
  await sql`update migration.follows set behind_at = now() - interval '2 minutes'`;
}

/** Options of a cut-over that keeps unfinished work. */
export const keep = (changes: Partial<SwitchOptions> = {}): SwitchOptions =>
  Object.assign({}, optionsDefault, { unfinished: "keep" as const, pauseMsMax: 10_000 }, changes);

/** Changes the phase by hand, and waits until the API has acknowledged it. */
export async function setPhase(
  { sql }: Rig,
  phase: Phase,
  holdMs: number | null = null,
): Promise<Traffic> {
  const { version } = await readTraffic(sql);
  const change = { phase, share: 0, by: "test", reason: "test", forced: true, holdMs };
  const changed = (await changeTraffic(sql, version, change))!;
  await waitFor(
    "the acknowledgement",
    async () => (await listFrontProcesses(sql)).every(({ acknowledged }) => acknowledged >= changed.version),
  );
  return changed;
}

/** Asserts which system is in charge: the phase, the block of MongoDB, and the capture agree. */
export async function assertInCharge({ sql, followed }: Rig, who: "old" | "new"): Promise<void> {
  const { phase } = await readTraffic(sql);
  const [row] = await sql`
    select (select state from migration.follows) as follow,
      count(*) filter (where tgenabled <> 'D')::int as enabled
    from pg_trigger
    where tgname like '%\\_capture\\_%' and tgrelid in ('users'::regclass, 'tasks'::regclass, 'subtasks'::regclass)`;
  if (who === "new") {
    assert.equal(phase, "new");
    assert.equal(row!.enabled, 13, "changes are captured");
    assert.equal(row!.follow, "ended");
    return;
  }
  assert.notEqual(phase, "new");
  assert.notEqual(phase, "holding");
  assert.equal(row!.enabled, 0, "nothing is captured");
  assert.equal(row!.follow, "following");
  assert.equal(await isWriteBlocked(followed.db.client), false, "MongoDB takes writes");
}

/** Returns whether a task is deleted in PostgreSQL and in MongoDB. */
export async function readDeleted(
  { sql, followed: { db } }: Rig,
): Promise<{ here: string[]; there: string[] }> {
  const rows = await sql<{ id: string }[]>`select id from tasks where is_deleted order by id`;
  const documents = await db.collection("tasks").find({ is_deleted: true }).toArray();
  return { here: rows.map(({ id }) => id), there: documents.map((task) => task.id as string).sort() };
}
