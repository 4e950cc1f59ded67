/**
 * What COPY pays for row by row and what is cheap all at once: taken off the biggest table while it is empty, put
 * back before a source counts as settled. Both steps are part of the transaction that plans or settles, so after a
 * crash the next load that ends puts them back.
 */
import type postgres from "postgres";
import { AppError } from "../../errors.ts";

interface Part {
  name: string;
  isThere: string;
  drop: string;
  create: string;
}

const parts: readonly Part[] = [
  {
    name: "subtasks_order_idx",
    isThere: "to_regclass('subtasks_order_idx') is not null",
    drop: "drop index subtasks_order_idx",
    create: "create index subtasks_order_idx on subtasks (parent_task_id, legacy_id)",
  },
  {
    name: "subtasks_parent_task_id_fkey",
    isThere: `exists (
      select from pg_constraint
      where conrelid = 'subtasks'::regclass and conname = 'subtasks_parent_task_id_fkey')`,
    drop: "alter table subtasks drop constraint subtasks_parent_task_id_fkey",
    create: "alter table subtasks add constraint subtasks_parent_task_id_fkey " +
      "foreign key (parent_task_id) references tasks (id) on delete cascade",
  },
];

/** Fewer documents are in before it is worth anything. */
export const deferredFrom = 5000;

async function isThere(sql: postgres.ISql, part: Part): Promise<boolean> {
  const [row] = await sql.unsafe(`select ${part.isThere} as there`);
  return row?.there === true;
}

/**
 * Takes the parts off when the table is empty and nobody else works on it; else leaves all as it is. In a
 * transaction.
 */
export async function takeOff(sql: postgres.ISql): Promise<void> {
  await sql`savepoint take_off`;
  try {
    await sql`set local lock_timeout = '2s'`;
    await sql`lock table tasks, subtasks in access exclusive mode`;
    const [row] = await sql`select exists (select from subtasks) as filled`;
    if (row?.filled === false) {
      for (const part of parts) if (await isThere(sql, part)) await sql.unsafe(part.drop);
      await sql`release savepoint take_off`;
    } else await sql`rollback to savepoint take_off`;
  } catch (error) {
    const { code } = error as { code?: string };
    // The lock is not to be had, or the tables are another role's: rows come in more slowly, and that is all.
    if (code !== "55P03" && code !== "42501") throw error;
    await sql`rollback to savepoint take_off`;
  }
  await sql`set local lock_timeout to default`;
}

/**
 * Puts back what is not there. In a transaction.
 *
 * @throws AppError ledger_unbalanced where a task was deleted while its subtasks came in
 */
export async function putBack(sql: postgres.ISql): Promise<void> {
  for (const part of parts) {
    if (await isThere(sql, part)) continue;
    await sql.unsafe(part.create).catch((cause) => {
      if (cause.code !== "23503") throw cause;
      throw new AppError(
        "ledger_unbalanced",
        `settling: a task was deleted while its subtasks came in (${cause.detail}); delete those subtasks, ` +
          "then run the same command again",
        { cause },
      );
    });
  }
}
