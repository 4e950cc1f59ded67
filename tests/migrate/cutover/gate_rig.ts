/** A gate that is ready, and how tests inject a state that is not. */
import assert from "node:assert/strict";
import { parseConfig } from "../../../config.ts";
import { findGateReading } from "../../../db/migration/journal.ts";
import { digestKey, product } from "../../../db/traffic/identity.ts";
import { callHttp } from "../../../http.ts";
import type { SwitchContext } from "../../../migrate/data/cutover/context.ts";
import { saveAcceptances } from "../../../migrate/data/cutover/decisions.ts";
import { checkNames, readGate } from "../../../migrate/data/cutover/gate.ts";
import type { SwitchOptions } from "../../../migrate/data/cutover/options.ts";
import { openFollowed } from "../../../migrate/data/sources/mongo_follow.ts";
import { secret } from "../../support/api.ts";
import { createDatabase } from "../../support/database.ts";
import { databaseName, startFollowed, syncOnce } from "../support/followed.ts";
import { makeSubtask, makeTask, makeUser } from "../support/legacy_documents.ts";
import type { OldBackend } from "../../../dev/servers/old_backend.ts";
import { accepted, keep, startOld } from "./rig.ts";

export interface Case {
  /** The check that must refuse. */
  name: string;
  what: string;
  /** SQL that injects the state, or a function; what it returns is run afterwards. */
  inject?: string | ((rig: GateRig) => Promise<(() => Promise<unknown>) | void>);
  options?: Partial<SwitchOptions>;
  context?: (rig: GateRig) => Partial<SwitchContext>;
  /** Further checks that refuse as well. */
  also?: string[];
  /** What the check must have found, or say to do. */
  says?: RegExp;
}

export type GateRig = SwitchContext & {
  old: OldBackend;
  followed: Awaited<ReturnType<typeof startFollowed>>;
  /** Brings everything that a case may have changed into a state that is ready. */
  reset(): Promise<void>;
};

export const changed = (sql: string) => `update migration.follows set ${sql}`;
export const unaccept = (name: string) => `delete from migration.decisions where name = 'accept:${name}'`;

/** Returns the URL of a port on which nothing listens. */
export const closedPort = (): string => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return `http://127.0.0.1:${listener.addr.port}`;
};

async function reset({ pool, by }: SwitchContext, follow: Record<string, unknown>): Promise<void> {
  await pool.begin(async (sql) => {
    await sql`call migration.set_capture(false)`;
    for (
      const table of [
        "waiting",
        "quarantine",
        "gaps",
        "changes",
        "cutovers",
        "decisions",
        "shadow_differences",
        "shadow_answers",
        "front_processes",
        "live_verifications",
        "follows",
      ]
    ) await sql`delete from ${sql(`migration.${table}`)}`;
    await sql`insert into migration.follows ${sql(follow)}`;
    await sql`
      update migration.follows
      set state = 'following', stop_reason = null, mode = 'stream', lag_ms = 0, applied_at = now() + interval '1 h',
        behind_at = now() - interval '2 minutes', copied_at = now(), oplog_read_at = now(),
        oplog_from = position_at - interval '5 h'`;
    await sql`
      insert into migration.live_verifications (fingerprint, ended_at, verdict)
      select fingerprint, now(), 'equal' from migration.follows`;
    await sql`insert into migration.shadow_answers (hour, compared, equal) values (date_trunc('hour', now()), 200, 200)`;
    await sql`
      update migration.traffic set phase = 'shadow', phase_before = null, hold_until = null`;
    await sql`
      insert into migration.front_processes (id, host, pid, product, key_digest, acknowledged, seen_at)
      select 'a', 'host', 1, ${product}, ${
      digestKey(secret)
    }, version, now() + interval '1 minute' from migration.traffic`;
    await sql`delete from leaders`;
    await sql`insert into leaders (role, holder, lease_until) values ('sync', 'host:1', now() + interval '1 h')`;
    await sql`delete from workers`;
    await sql`
      insert into workers (id, host, pid, queues) values ('w', 'host', 2, '{high,standard,lumina}')`;
    await sql`
      insert into migration.decisions (name, value, decided_by, decided_at)
      values ('backup', '{"folder":"/backup"}', 'x', now() - interval '1 h')`;
  });
  await saveAcceptances(
    { pool, by },
    accepted.filter((name) => !["worker_present", "shadow_compared", "oplog_known"].includes(name)),
  );
}

/** Starts both systems with a followed MongoDB, ready for a switch. */
export async function startGateRig(stack: AsyncDisposableStack): Promise<GateRig> {
  const followed = stack.use(await startFollowed());
  const { db } = followed;
  const user = makeUser("owner@example.com");
  const task = makeTask(user.email);
  await db.collection("users").insertOne(user);
  await db.collection("tasks").insertOne(task);
  await db.collection<Record<string, unknown>>("dramatiq_tasks").insertOne(makeSubtask(task.id));
  const database = stack.use(await createDatabase());
  await syncOnce(database.sql, followed);
  const old = stack.use(await startOld(followed));
  const source = stack.use(await openFollowed(followed.mongo.url, databaseName));
  const config = parseConfig({
    DATABASE_URL: database.url,
    SECRET_KEY: secret,
    LEGACY_API_URL: old.origin,
    REDIS_URL: closedPort().replace("http", "redis"),
  }, "migrate");
  const signal = new AbortController().signal;
  const [follow] = await database.sql`select * from migration.follows`;
  const context = { pool: database.sql, source, config, http: callHttp, by: "test", onNote() {}, signal };
  const rig = Object.assign(context, { old, followed, reset: () => reset(context, follow!) });
  await rig.reset();
  const gate = await readGate(rig, keep());
  assert.deepEqual(namesOf(gate.checks, "not_ready", "unknown"), []);
  assert.equal(gate.isReady, true);
  assert.deepEqual(gate.checks.map(({ name }) => name), checkNames);
  // Those who watch the migration over v2 see what the gate found.
  const stored = await findGateReading(rig.pool);
  assert.deepEqual([stored?.is_ready, stored?.by, stored?.checks.length], [true, "test", checkNames.length]);
  return rig;
}

/** Returns the names of the checks in one of the states. */
export const namesOf = (checks: { name: string; state: string }[], ...states: string[]) =>
  checks.filter(({ state }) => states.includes(state)).map(({ name }) => name);

/** Injects the state of each case, and looks for the name of its check. */
export async function runCases(t: Deno.TestContext, rig: GateRig, cases: readonly Case[]): Promise<void> {
  for (const { name, what, inject, options = {}, context = () => ({}), also = [], says = /./ } of cases) {
    await t.step(`${name}: ${what}`, async () => {
      await rig.reset();
      const undo = typeof inject === "string"
        ? await rig.pool.unsafe(inject).then(() => undefined)
        : await inject?.(rig);
      try {
        const { isReady, checks } = await readGate(Object.assign({}, rig, context(rig)), keep(options));
        assert.equal(isReady, false);
        assert.deepEqual(namesOf(checks, "not_ready", "unknown").sort(), [name, ...also].sort());
        const { found, todo } = checks.find((check) => check.name === name)!;
        assert.ok(found.length > 0 && todo.length > 0, `${found}; ${todo}`);
        assert.match(`${found}; ${todo}`, says);
      } finally {
        await undo?.();
      }
    });
  }
}
