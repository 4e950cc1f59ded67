/**
 * Drops indexes and foreign keys of the table `subtasks` before a load and recreates them afterwards.
 * Maintaining them row by row would cost far more than building them once. They are dropped only while the
 * table is empty, and are recreated before the source counts as settled.
 *
 * The definitions are read from the catalog and stored in the table's comment, in the transaction that drops
 * them. The comment thus shows what is missing, and after a crash the next load that finishes recreates it.
 */
import type postgres from "postgres";
import { AppError } from "../../../errors.ts";
import { failpoint } from "../tools/failpoint.ts";

/** An index or a foreign key. */
interface TablePart {
  name: string;
  drop: string;
  create: string;
}

/** Smallest number of documents for which dropping the indexes saves time. */
export const deferredFrom = 5000;

// Databases store this text. It must never change, or a load that was interrupted earlier would lose its
// indexes.
const commentHead = "a load has taken off, and puts back when it settles: ";

/** Lists the foreign keys, and the indexes that are neither unique nor partial. */
async function listParts(sql: postgres.ISql): Promise<TablePart[]> {
  return await sql<TablePart[]>`
    select relname as name, format('drop index %I', relname) as drop,
      -- The definition for a partitioned table would leave out its partitions.
      replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') as create
    from pg_index join pg_class on pg_class.oid = indexrelid
    where indrelid = 'subtasks'::regclass and not indisunique and indpred is null
    union all
    select conname, format('alter table subtasks drop constraint %I', conname),
      format('alter table subtasks add constraint %I %s', conname, pg_get_constraintdef(oid))
    from pg_constraint
    where conrelid = 'subtasks'::regclass and contype = 'f'`;
}

async function readComment(sql: postgres.ISql): Promise<TablePart[]> {
  const [row] = await sql`select obj_description('subtasks'::regclass, 'pg_class') as text`;
  const text: string = row?.text ?? "";
  return text.startsWith(commentHead) ? JSON.parse(text.slice(commentHead.length)) : [];
}

async function writeComment(sql: postgres.ISql, parts: TablePart[]): Promise<void> {
  const text = parts.length === 0 ? null : commentHead + JSON.stringify(parts);
  // COMMENT accepts no parameters.
  const [row] = await sql`select format('comment on table subtasks is %L', ${text}::text) as statement`;
  await sql.unsafe(row!.statement);
}

/** Lists the names of the indexes and foreign keys that are currently dropped. */
export const listDroppedIndexes = async (sql: postgres.ISql): Promise<string[]> =>
  (await readComment(sql)).map(({ name }) => name);

const lockNotAvailable = "55P03";
const insufficientPrivilege = "42501";

/**
 * Drops the indexes and foreign keys if the table is empty and can be locked within two seconds. Otherwise
 * changes nothing, and the load is slower. Must run in a transaction.
 */
export async function dropIndexes(sql: postgres.ISql): Promise<void> {
  await sql`savepoint drop_indexes`;
  try {
    await sql`set local lock_timeout = '2s'`;
    await sql`lock table tasks, subtasks in access exclusive mode`;
    failpoint("deferred.locked");
    const [row] = await sql`select exists (select from subtasks) as filled`;
    if (row?.filled === false) {
      const parts = await listParts(sql);
      // The comment may already name parts that an earlier load dropped.
      if (parts.length > 0) await writeComment(sql, [...await readComment(sql), ...parts]);
      for (const { drop } of parts) await sql.unsafe(drop);
      failpoint("deferred.dropped");
      await sql`release savepoint drop_indexes`;
    } else await sql`rollback to savepoint drop_indexes`;
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== lockNotAvailable && code !== insufficientPrivilege) throw error;
    await sql`rollback to savepoint drop_indexes`;
  }
  await sql`set local lock_timeout to default`;
}

/**
 * Recreates the dropped indexes and foreign keys, each in its own transaction. A crash loses at most one of
 * them.
 *
 * @throws AppError ledger_unbalanced when a task was deleted while its subtasks were loaded
 */
export async function recreateIndexes(sql: postgres.ISql): Promise<void> {
  for (let parts = await readComment(sql); parts.length > 0; parts = parts.slice(1)) {
    await sql`begin`;
    // Enough to sort two million rows without temporary files.
    await sql`set local maintenance_work_mem = '256MB'`;
    await sql.unsafe(parts[0]!.create).catch((cause) => {
      if (cause.code !== "23503") throw cause;
      throw new AppError(
        "ledger_unbalanced",
        `settling: a task was deleted while its subtasks were being loaded (${cause.detail}); delete those ` +
          "subtasks, then run the same command again",
        { cause },
      );
    });
    await writeComment(sql, parts.slice(1));
    failpoint("deferred.created");
    await sql`commit`;
    failpoint("deferred.recreated");
  }
}
