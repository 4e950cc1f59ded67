/** The journal of rehearsals, cut-overs and rollbacks: one row for each, and one for each of their steps. */
import type { Pool, Sql } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { isKeyConflict } from "../../../passing.ts";
import type { SwitchOptions } from "./options.ts";

export type CutoverKind = "rehearsal" | "cutover" | "rollback";
export type CutoverState = "running" | "done" | "undone" | "failed";
export type StepOutcome = "done" | "failed" | "skipped";

export interface CutoverRow {
  id: number;
  kind: CutoverKind;
  state: CutoverState;
  started_by: string;
  /** ISO 8601. */
  started_at: string;
  ended_at: string | null;
  pause_predicted_ms: number | null;
  pause_ms: number | null;
  note: string | null;
  options: SwitchOptions;
}

export interface StepRow {
  number: number;
  step: string;
  began_at: string;
  ended_at: string | null;
  outcome: StepOutcome | null;
  detail: Record<string, unknown> | null;
  undone_at: string | null;
}

/** First key of the advisory lock that a running cut-over or rollback holds. */
const lockKey = 0x636f6e77;

/**
 * Runs `work` while no other process runs a cut-over, rehearsal or rollback.
 *
 * @throws AppError busy
 */
export async function withCutoverLock<T>(pool: Pool, action: string, work: () => Promise<T>): Promise<T> {
  const session = await pool.reserve();
  try {
    const [lock] = await session`select pg_try_advisory_lock(${lockKey}) as acquired`;
    if (lock?.acquired !== true) {
      throw new AppError("busy", `${action}: another cut-over or rollback is running; wait for its end`);
    }
    return await work();
  } finally {
    session.release();
  }
}

const iso = (sql: Sql, column: string) => sql`to_char(${sql(column)}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

const columns = (sql: Sql) =>
  sql`id::float8 as id, kind, state, started_by, ${iso(sql, "started_at")} as started_at,
    ${iso(sql, "ended_at")} as ended_at, pause_predicted_ms, pause_ms, note, options`;

/**
 * Begins a cut-over, rehearsal or rollback.
 *
 * @throws AppError conflict when one did not end, because its process was killed
 */
export async function beginCutover(
  sql: Sql,
  kind: CutoverKind,
  by: string,
  options: SwitchOptions,
): Promise<number> {
  try {
    const [row] = await sql<{ id: number }[]>`
      insert into migration.cutovers (kind, started_by, options)
      values (${kind}, ${by}, ${JSON.stringify(options)}::text::json)
      returning id::float8 as id`;
    return row!.id;
  } catch (error) {
    if (!isKeyConflict(error)) throw error;
    throw unfinishedError(kind);
  }
}

/** The error for a cut-over whose process was killed. */
export const unfinishedError = (action: string): AppError =>
  new AppError(
    "conflict",
    `${action}: an earlier cut-over or rollback did not end, because its process was killed; run ` +
      "'deno task migrate data cutover --abort' or '--continue' first",
  );

/** Returns the cut-over, rehearsal or rollback that has not ended, if there is one. */
export async function findRunningCutover(sql: Sql): Promise<CutoverRow | undefined> {
  const [row] = await sql<CutoverRow[]>`select ${
    columns(sql)
  } from migration.cutovers where state = 'running'`;
  return row;
}

/** Returns the last one of a kind that has ended as wanted. */
export async function findLastCutover(
  sql: Sql,
  kind: CutoverKind,
  state: CutoverState = "done",
): Promise<CutoverRow | undefined> {
  const [row] = await sql<CutoverRow[]>`
    select ${columns(sql)} from migration.cutovers where kind = ${kind} and state = ${state}
    order by id desc limit 1`;
  return row;
}

/** Lists the steps of a cut-over. */
export async function listSteps(sql: Sql, id: number): Promise<StepRow[]> {
  return await sql<StepRow[]>`
    select number, step, ${iso(sql, "began_at")} as began_at, ${
    iso(sql, "ended_at")
  } as ended_at, outcome, detail,
      ${iso(sql, "undone_at")} as undone_at
    from migration.cutover_steps
    where cutover_id = ${id}
    order by number`;
}

/** Records that a step begins. @returns its number */
export async function beginStep(
  sql: Sql,
  id: number,
  step: string,
  detail: Record<string, unknown>,
): Promise<number> {
  const [row] = await sql<{ number: number }[]>`
    insert into migration.cutover_steps (cutover_id, number, step, detail)
    select ${id}, coalesce(max(number), 0) + 1, ${step}, ${JSON.stringify(detail)}::text::json
    from migration.cutover_steps
    where cutover_id = ${id}
    returning number`;
  return row!.number;
}

/** Adds to what a step records, before it ends. */
export async function addDetail(
  sql: Sql,
  id: number,
  number: number,
  detail: Record<string, unknown>,
): Promise<void> {
  await sql`
    update migration.cutover_steps
    set detail = (coalesce(detail, '{}')::jsonb || ${JSON.stringify(detail)}::text::jsonb)::json
    where cutover_id = ${id} and number = ${number}`;
}

/** Records how a step ended. */
export async function endStep(
  sql: Sql,
  id: number,
  number: number,
  outcome: StepOutcome,
  detail: Record<string, unknown>,
): Promise<void> {
  await addDetail(sql, id, number, detail);
  await sql`
    update migration.cutover_steps
    set ended_at = clock_timestamp(), outcome = ${outcome}
    where cutover_id = ${id} and number = ${number}`;
}

/** Records that a step was undone. */
export async function markUndone(sql: Sql, id: number, number: number): Promise<void> {
  await sql`
    update migration.cutover_steps
    set undone_at = now()
    where cutover_id = ${id} and number = ${number}`;
}

/** Records the end of a cut-over. */
export async function endCutover(
  sql: Sql,
  id: number,
  state: Exclude<CutoverState, "running">,
  { note = null, pauseMs = null, predictedMs = null }: {
    note?: string | null;
    pauseMs?: number | null;
    predictedMs?: number | null;
  } = {},
): Promise<void> {
  await sql`
    update migration.cutovers
    set state = ${state}, ended_at = now(), note = ${note},
      pause_ms = coalesce(${pauseMs === null ? null : Math.round(pauseMs)}, pause_ms),
      pause_predicted_ms = coalesce(${
    predictedMs === null ? null : Math.round(predictedMs)
  }, pause_predicted_ms)
    where id = ${id} and state = 'running'`;
}

/** Lists the last cut-overs, rehearsals and rollbacks, newest first. */
export async function listCutovers(sql: Sql, limit: number): Promise<CutoverRow[]> {
  return await sql<CutoverRow[]>`
    select ${columns(sql)} from migration.cutovers order by id desc limit ${limit}`;
}
