/** Applies numbered .sql files once each, in order, under one advisory lock, and knows their hashes. */
import type { Pool, Sql } from "../../db/pg/connect.ts";
import { AppError } from "../../errors.ts";

/** One step: `up` and `down` are SQL texts, `hash` is SHA-256 of `up` in hex. */
export interface Step {
  number: number;
  name: string;
  up: string;
  down: string;
  hash: string;
  /** False when the first line says `-- no transaction` (for CREATE INDEX CONCURRENTLY). */
  transaction: boolean;
}

export interface AppliedStep {
  number: number;
  name: string;
  hash: string;
  applied_at: string;
}

// One number for every run of this product against one database.
const lockKey = 0x636f6e74;
const folder = new URL("./", import.meta.url);

async function sha256(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(bytes).toHex();
}

/**
 * Reads `NNNN_noun.sql` and its `.down.sql` from a folder.
 *
 * @throws AppError schema_mismatch when a number is missing, doubled, or has no way down
 */
export async function readSteps(from: URL = folder): Promise<Step[]> {
  const names = [...Deno.readDirSync(from)].map(({ name }) => name).filter((name) =>
    /^\d{4}_\w+\.sql$/.test(name)
  );
  const steps = await Promise.all(
    names.sort().map(async (name, place) => {
      const number = Number(name.slice(0, 4));
      if (number !== place + 1) {
        throw new AppError("schema_mismatch", `reading '${name}': wanted number ${place + 1}, without gaps`);
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

/** What the database has, oldest first; empty where nothing was ever applied. */
export async function listApplied(sql: Sql): Promise<AppliedStep[]> {
  const [has] = await sql`select to_regclass('migration.schema_steps') is not null as has`;
  if (!has?.has) return [];
  return await sql<AppliedStep[]>`
    select number, name, hash, to_char(applied_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as applied_at
    from migration.schema_steps
    order by number`;
}

/** @throws AppError schema_mismatch when an applied step was changed since, or is unknown here */
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

async function underLock<T>(pool: Pool, work: (sql: Sql) => Promise<T>): Promise<T> {
  const held = await pool.reserve();
  try {
    await held`set lock_timeout = '10s'`;
    const [got] = await held`select pg_try_advisory_lock(${lockKey}) as locked`;
    if (!got?.locked) {
      await held`select pg_advisory_lock(${lockKey})`.catch((cause) => {
        throw new AppError("busy", "migrating the schema: another run holds the lock; wait for it to end", {
          cause,
        });
      });
    }
    return await work(held);
  } finally {
    await held`select pg_advisory_unlock(${lockKey})`.catch(() => {});
    held.release();
  }
}

async function run(sql: Sql, text: string, record: () => Promise<unknown>, transaction: boolean) {
  if (transaction) await sql`begin`;
  try {
    await sql.unsafe(text);
    await record();
    if (transaction) await sql`commit`;
  } catch (error) {
    if (transaction) await sql`rollback`;
    throw error;
  }
}

/**
 * Applies what is missing, up to step `to`.
 *
 * @param onStep told of each step after it is in
 * @returns the names applied now
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
  return await underLock(pool, async (sql) => {
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
      await run(
        sql,
        up,
        () =>
          sql`insert into migration.schema_steps (number, name, hash) values (${number}, ${name}, ${hash})`,
        transaction,
      );
      onStep(name);
    }
    return missing.map(({ name }) => name);
  });
}

/**
 * Takes back the newest steps until `to` are left.
 *
 * @returns the names taken back, newest first
 * @throws AppError schema_mismatch, busy
 */
export async function migrateDown(pool: Pool, to: number, steps?: Step[]): Promise<string[]> {
  const all = steps ?? await readSteps();
  return await underLock(pool, async (sql) => {
    const applied = await listApplied(sql);
    checkApplied(all, applied);
    const undone = applied.filter(({ number }) => number > to).reverse();
    for (const { number } of undone) {
      const { down, transaction } = all[number - 1]!;
      await run(
        sql,
        down,
        () => sql`delete from migration.schema_steps where number = ${number}`,
        transaction,
      );
    }
    return undone.map(({ name }) => name);
  });
}

/** @throws AppError schema_mismatch when the database lacks a step of this version */
export async function requireSchema(sql: Sql): Promise<void> {
  const steps = await readSteps();
  const applied = await listApplied(sql);
  checkApplied(steps, applied);
  if (applied.length < steps.length) {
    throw new AppError(
      "schema_mismatch",
      `checking the schema: the database has ${applied.length} of ${steps.length} steps; run 'deno task migrate'`,
    );
  }
}
