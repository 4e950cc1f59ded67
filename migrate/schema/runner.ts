/** Applies numbered .sql files in order, each of them once, under an advisory lock. Stores their hashes. */
import type postgres from "postgres";
import { requireWritableServer } from "../../db/pg/server.ts";
import type { Pool, Sql } from "../../db/pg/connect.ts";
import { AppError } from "../../errors.ts";
import { counted, quoted } from "../../phrases.ts";
import { buildOnPartitions } from "./concurrent_index.ts";

/** A step of the schema. */
export interface Step {
  number: number;
  /** File name without extension, such as `0001_tables`. */
  name: string;
  /** SQL that applies the step. */
  up: string;
  /** SQL that reverts the step. */
  down: string;
  /** SHA-256 of `up` in hex. */
  hash: string;
  /** False when the first line is `-- no transaction`, which CREATE INDEX CONCURRENTLY needs. */
  transaction: boolean;
}

/** A step that the database has. */
export interface AppliedStep {
  number: number;
  name: string;
  hash: string;
  applied_at: string;
}

// Key of the advisory lock. All versions of this product must use the same one.
const lockKey = 0x636f6e74;
const folder = new URL("./", import.meta.url);

async function sha256(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(bytes).toHex();
}

/**
 * Reads the files `NNNN_noun.sql` and `NNNN_noun.down.sql` of a folder.
 *
 * @throws AppError schema_mismatch when a number or a .down.sql is missing, or a number occurs twice
 */
export async function readSteps(from: URL = folder): Promise<Step[]> {
  const names = [...Deno.readDirSync(from)].map(({ name }) => name).filter((name) =>
    /^\d{4}_\w+\.sql$/.test(name)
  );
  const steps = await Promise.all(
    names.sort().map(async (name, index) => {
      const number = Number(name.slice(0, 4));
      if (number !== index + 1) {
        throw new AppError("schema_mismatch", `reading '${name}': wanted number ${index + 1}, without gaps`);
      }
      const up = await Deno.readTextFile(new URL(name, from));
      const down = await Deno.readTextFile(new URL(name.replace(/\.sql$/, ".down.sql"), from)).catch(() => {
        throw new AppError("schema_mismatch", `reading '${name}': it has no .down.sql beside it`);
      });
      const transaction = !/^--\s*no transaction/.test(up);
      return { number, name: name.slice(0, -4), up, down, hash: await sha256(up), transaction };
    }),
  );
  return steps;
}

/** Lists the steps that the database has, oldest first. */
export async function listApplied(sql: Sql): Promise<AppliedStep[]> {
  const [table] = await sql`select to_regclass('migration.schema_steps') is not null as exists`;
  if (!table?.exists) return [];
  return await sql<AppliedStep[]>`
    select number, name, hash, to_char(applied_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as applied_at
    from migration.schema_steps
    order by number`;
}

/**
 * Checks that the steps of the database are those of this version.
 *
 * @throws AppError schema_mismatch when an applied step has changed or is unknown to this version
 */
export function checkApplied(steps: Step[], applied: AppliedStep[]): void {
  for (const { number, name, hash } of applied) {
    const step = steps[number - 1];
    if (!step) {
      throw new AppError(
        "schema_mismatch",
        `checking the schema: the database has step ${number} '${name}', this version ends at ${steps.length}; ` +
          "run the newer version",
      );
    }
    if (step.hash !== hash) {
      throw new AppError(
        "schema_mismatch",
        `checking the schema: '${step.name}.sql' was changed after it was applied; put it back and add a new step`,
      );
    }
  }
}

/** Runs `work` in a session that holds the schema lock. @throws AppError busy */
export async function withSchemaLock<T>(
  pool: Pool,
  work: (sql: postgres.ReservedSql) => Promise<T>,
): Promise<T> {
  await requireWritableServer(pool);
  const session = await pool.reserve();
  try {
    await session`set lock_timeout = '10s'`;
    const [lock] = await session`select pg_try_advisory_lock(${lockKey}) as locked`;
    if (!lock?.locked) {
      await session`select pg_advisory_lock(${lockKey})`.catch((cause) => {
        throw new AppError("busy", "migrating the schema: another run holds the lock; wait for it to end", {
          cause,
        });
      });
    }
    return await work(session);
  } finally {
    await session`select pg_advisory_unlock(${lockKey})`.catch(() => {});
    session.release();
  }
}

/** A step to run, in one direction. */
interface StepRun {
  name: string;
  action: "applying" | "reverting";
  text: string;
  transaction: boolean;
  /** Notes in the database that the step has run. */
  record: () => Promise<unknown>;
}

/** Returns the line of a position that PostgreSQL names, which counts from 1. */
function quoteLine(text: string, position: string | undefined): string {
  const at = Number(position);
  if (!(at >= 1)) return "";
  const [line = ""] = text.slice(text.lastIndexOf("\n", at - 1) + 1).split("\n");
  const number = text.slice(0, at - 1).split("\n").length;
  return `, line ${number} ${quoted(line.trim(), 80)}`;
}

/** Names the step that failed. A failure of the connection keeps its code, by which callers recognize it. */
function stepError(error: unknown, { name, action, text, transaction }: StepRun): unknown {
  const { code = "", message = "", position } = error as {
    code?: string;
    message?: string;
    position?: string;
  };
  const isAnswer = /^[0-9A-Z]{5}$/.test(code);
  const rest = transaction
    ? "nothing of this step was kept"
    : "this step runs without a transaction, so a part of it may have been kept";
  const where = isAnswer ? quoteLine(text, position) : "";
  return Object.assign(new Error(`${action} step '${name}'${where}: ${message}; ${rest}`, { cause: error }), {
    code,
  });
}

async function runStep(sql: Sql, step: StepRun): Promise<void> {
  const { text, record, transaction } = step;
  if (transaction) await sql`begin`;
  try {
    if (transaction || !await buildOnPartitions(sql, text)) await sql.unsafe(text);
    await record();
    if (transaction) await sql`commit`;
  } catch (error) {
    // The connection may be gone, too.
    if (transaction) await sql`rollback`.catch(() => {});
    throw stepError(error, step);
  }
}

/**
 * Applies the missing steps, up to number `to`.
 *
 * @param onStep receives the name of each step after it was applied
 * @returns the names of the applied steps
 * @throws AppError schema_mismatch, busy
 */
export async function migrateUp(
  pool: Pool,
  { steps, to = Infinity, onStep = () => {} }: {
    steps?: Step[];
    to?: number;
    onStep?: (name: string) => void;
  } = {},
): Promise<string[]> {
  const all = steps ?? await readSteps();
  return await withSchemaLock(pool, async (sql) => {
    await sql`create schema if not exists migration`;
    await sql`
      create table if not exists migration.schema_steps (
        number integer not null,
        name text not null,
        hash text not null,
        applied_at timestamptz(3) not null default now(),
        constraint schema_steps_pkey primary key (number)
      )`;
    const applied = await listApplied(sql);
    checkApplied(all, applied);
    const missing = all.filter(({ number }) => number > applied.length && number <= to);
    for (const step of missing) {
      const { number, name, hash, up, transaction } = step;
      const record = () =>
        sql`insert into migration.schema_steps (number, name, hash) values (${number}, ${name}, ${hash})`;
      await runStep(sql, { name, action: "applying", text: up, transaction, record });
      onStep(name);
    }
    return missing.map(({ name }) => name);
  });
}

/**
 * Reverts the newest steps until `to` are left.
 *
 * @returns the names of the reverted steps, newest first
 * @throws AppError schema_mismatch, busy
 */
export async function migrateDown(pool: Pool, to: number, steps?: Step[]): Promise<string[]> {
  const all = steps ?? await readSteps();
  return await withSchemaLock(pool, async (sql) => {
    const applied = await listApplied(sql);
    checkApplied(all, applied);
    const reverted = applied.filter(({ number }) => number > to).reverse();
    for (const { number, name } of reverted) {
      const { down, transaction } = all[number - 1]!;
      const record = () => sql`delete from migration.schema_steps where number = ${number}`;
      await runStep(sql, { name, action: "reverting", text: down, transaction, record });
    }
    return reverted.map(({ name }) => name);
  });
}

/**
 * Checks that the database has every step of this version.
 *
 * @throws AppError schema_mismatch
 */
export async function requireSchema(sql: Sql): Promise<void> {
  const steps = await readSteps();
  const applied = await listApplied(sql);
  checkApplied(steps, applied);
  requireAll(steps, applied);
}

/**
 * Returns a check that a running process repeats: the database has the steps of this version. The check resolves with a
 * reason where it has newer ones too, as during an upgrade, which migrates the schema before it replaces the processes.
 */
export function createSchemaCheck(sql: Sql): () => Promise<string | undefined> {
  const reading = readSteps();
  reading.catch(() => {});
  return async () => {
    const steps = await reading;
    const applied = await listApplied(sql);
    checkApplied(steps, applied.slice(0, steps.length));
    requireAll(steps, applied);
    const newer = applied.length - steps.length;
    if (newer <= 0) return undefined;
    return `the database has ${
      counted(newer, "step")
    } that this version does not know; start the newer version`;
  };
}

/** @throws AppError schema_mismatch when the database lacks steps */
function requireAll(steps: Step[], applied: AppliedStep[]): void {
  if (applied.length < steps.length) {
    throw new AppError(
      "schema_mismatch",
      `checking the schema: the database has ${applied.length} of ${
        counted(steps.length, "step")
      }; run 'deno task migrate'`,
    );
  }
}
