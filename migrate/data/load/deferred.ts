/**
 * What COPY pays for row by row and what is cheap all at once: taken off the biggest table while it is empty, put
 * back before a source counts as settled. How each was defined is read from the catalog and kept in the table's
 * comment, in the transaction that takes them off: whoever looks at the table sees what it lacks, and after a crash
 * the next load that ends puts them back.
 */
import type postgres from "postgres";
import { AppError } from "../../../errors.ts";
import { failpoint } from "../tools/failpoint.ts";

interface Part {
  name: string;
  drop: string;
  create: string;
}

/** Fewer documents are in before it is worth anything. */
export const deferredFrom = 5000;

const commentHead = "a load has taken off, and puts back when it settles: ";

/** Indexes over all rows that keep no rule, and what refers to other tables. */
async function listParts(sql: postgres.ISql): Promise<Part[]> {
  return await sql<Part[]>`
    select relname as name, format('drop index %I', relname) as drop, pg_get_indexdef(indexrelid) as create
    from pg_index join pg_class on pg_class.oid = indexrelid
    where indrelid = 'subtasks'::regclass and not indisunique and indpred is null
    union all
    select conname, format('alter table subtasks drop constraint %I', conname),
      format('alter table subtasks add constraint %I %s', conname, pg_get_constraintdef(oid))
    from pg_constraint
    where conrelid = 'subtasks'::regclass and contype = 'f'`;
}

async function readComment(sql: postgres.ISql): Promise<Part[]> {
  const [row] = await sql`select obj_description('subtasks'::regclass, 'pg_class') as text`;
  const text: string = row?.text ?? "";
  return text.startsWith(commentHead) ? JSON.parse(text.slice(commentHead.length)) : [];
}

/** COMMENT takes no parameter. */
async function writeComment(sql: postgres.ISql, parts: Part[]): Promise<void> {
  const text = parts.length === 0 ? null : commentHead + JSON.stringify(parts);
  const [row] = await sql`select format('comment on table subtasks is %L', ${text}::text) as statement`;
  await sql.unsafe(row!.statement);
}

/** Names of what is off now. */
export const listTakenOff = async (sql: postgres.ISql): Promise<string[]> =>
  (await readComment(sql)).map(({ name }) => name);

/**
 * Takes the parts off when the table is empty and nobody else works on it; else leaves all as it is. In a
 * transaction.
 */
export async function takeOff(sql: postgres.ISql): Promise<void> {
  await sql`savepoint take_off`;
  try {
    await sql`set local lock_timeout = '2s'`;
    await sql`lock table tasks, subtasks in access exclusive mode`;
    failpoint("deferred.locked");
    const [row] = await sql`select exists (select from subtasks) as filled`;
    if (row?.filled === false) {
      const parts = await listParts(sql);
      // What an earlier load left off stays in the comment.
      if (parts.length > 0) await writeComment(sql, [...await readComment(sql), ...parts]);
      for (const { drop } of parts) await sql.unsafe(drop);
      failpoint("deferred.dropped");
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
 * Puts back what is off, each in a transaction of its own: a crash costs one of them.
 *
 * @throws AppError ledger_unbalanced where a task was deleted while its subtasks came in
 */
export async function putBack(sql: postgres.ISql): Promise<void> {
  for (let parts = await readComment(sql); parts.length > 0; parts = parts.slice(1)) {
    await sql`begin`;
    // A sort of two million rows then needs no files.
    await sql`set local maintenance_work_mem = '256MB'`;
    await sql.unsafe(parts[0]!.create).catch((cause) => {
      if (cause.code !== "23503") throw cause;
      throw new AppError(
        "ledger_unbalanced",
        `settling: a task was deleted while its subtasks came in (${cause.detail}); delete those subtasks, ` +
          "then run the same command again",
        { cause },
      );
    });
    await writeComment(sql, parts.slice(1));
    failpoint("deferred.created");
    await sql`commit`;
    failpoint("deferred.put_back");
  }
}
