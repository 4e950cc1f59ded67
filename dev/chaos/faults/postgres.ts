/** Faults of PostgreSQL: restarts, failovers, terminated sessions, locks. */
import type { Fault, Rig } from "../rig.ts";
import type { StopMode } from "../nodes/postgres.ts";
import { pause, retry } from "../servers.ts";

/** Stops PostgreSQL and starts it again after `downMs`. */
async function restartPostgres(rig: Rig, mode: StopMode, downMs: number): Promise<void> {
  await rig.postgres.stop(mode);
  await pause(downMs);
  await retry(() => rig.postgres.startIfDown());
}

/** Terminates the sessions of all workers several times. */
async function terminateSessions(rig: Rig, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    await rig.sql`
      select pg_terminate_backend(pid)
      from pg_stat_activity
      where datname = current_database() and application_name like 'contactsheet worker%'`.catch(() => {});
    await pause(150);
  }
}

/** Locks the rows of all tasks for `ms`, as an administrator's session might. */
async function lockTasks(rig: Rig, ms: number): Promise<void> {
  await rig.sql.begin(async (sql) => {
    await sql`select id from tasks for update`;
    await pause(ms);
  }).catch(() => {});
}

/** Makes the database read-only for `ms`, as after a full disk or a failover to a standby. */
async function makeReadOnly(rig: Rig, ms: number): Promise<void> {
  const set = (value: string) =>
    retry(async () => {
      await rig.sql.unsafe(`alter database ${rig.database} set default_transaction_read_only = ${value}`);
    });
  await set("on");
  await terminateSessions(rig, 1);
  await pause(ms);
  // The rig's own session may have started while the default was read-only.
  await retry(() => rig.sql.unsafe("set default_transaction_read_only = off"));
  await set("off");
  await terminateSessions(rig, 1);
}

/** The faults of PostgreSQL. */
export const postgresFaults = {
  postgres_fast: {
    about: "PostgreSQL restarts (fast shutdown)",
    ms: [0, 1_500],
    weight: 3,
    inject: (rig, { ms }) => restartPostgres(rig, "fast", ms),
  },
  postgres_immediate: {
    about: "PostgreSQL restarts (immediate shutdown)",
    ms: [0, 1_500],
    weight: 3,
    inject: (rig, { ms }) => restartPostgres(rig, "immediate", ms),
  },
  backends_cut: {
    about: "pg_terminate_backend, several times",
    ms: [0, 0],
    weight: 3,
    inject: (rig, { variation }) => terminateSessions(rig, 2 + Math.floor(variation * 6)),
  },
  tasks_locked: {
    about: "an administrator's session locks all tasks",
    ms: [500, 3_000],
    weight: 1,
    inject: (rig, { ms }) => lockTasks(rig, ms),
  },
  read_only: {
    about: "PostgreSQL is read-only",
    ms: [300, 2_000],
    weight: 1,
    inject: (rig, { ms }) => makeReadOnly(rig, ms),
  },
  postgres_failover: {
    about:
      "PostgreSQL fails over: the old node stays up read-only with its connections, and the address moves",
    ms: [0, 2_500],
    weight: 3,
    inject: ({ postgres }, { ms, variation }) =>
      postgres.failOver({ readOnlyMs: ms, movesFirst: variation < 0.5 }),
  },
} satisfies Record<string, Fault>;
