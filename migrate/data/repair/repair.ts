/**
 * Applies a repair plan. Each step changes a row only while it has the version that the plan read, and is logged so
 * that it can be undone.
 */
import type postgres from "postgres";
import type { Pool } from "../../../db/pg/connect.ts";
import { decodeLine } from "../tools/copy.ts";
import { failpoint } from "../tools/failpoint.ts";
import { withMigratorLock } from "../ledger/lock.ts";
import type { RepairPlan, RepairStep } from "./step.ts";
import { isRefusedRow } from "../../../passing.ts";
import { CastCache, insertRow, recountTasks } from "../load/rows.ts";
import { decodeRow, tables } from "../lens/tables.ts";

export interface RepairResult {
  plan: string;
  applied: number;
  /** Steps that were not applied because the row had changed or its key was taken. */
  skipped: { action: RepairStep["action"]; collection: string; document_id: string; why: string }[];
}

const keyOf = ({ row_id, parent_id }: Pick<RepairStep, "row_id" | "parent_id">) =>
  parent_id === null ? [row_id!] : [row_id!, parent_id];

/** Returns the SQL condition of a row's key, whose placeholders begin at `$first`. */
function whereKey(parent_id: string | null, first: number): string {
  const id = `t.id = $${first}::text::uuid`;
  return parent_id === null ? id : `${id} and t.parent_task_id = $${first + 1}::text::uuid`;
}

/** Overwrites a row if it still has the step's version. Reports whether it had. */
export async function overwriteRow(
  sql: postgres.TransactionSql,
  step: Pick<RepairStep, "collection" | "row_id" | "parent_id" | "version">,
  line: string,
  casts: CastCache,
): Promise<boolean> {
  const { collection, parent_id, version } = step;
  const { name, columns } = tables[collection];
  const { placeholders } = await casts.get(sql, collection);
  const assignments = columns.map((column, i) => `${column} = ${placeholders[i]}`).join();
  const next = columns.length + 1;
  const done = await sql.unsafe(
    `
    update ${name} t
    set ${assignments}
    where t.xmin = $${next}::text::xid and ${whereKey(parent_id, next + 1)}`,
    [...decodeLine(line), version, ...keyOf(step)],
  );
  return done.count === 1;
}

/** Deletes a row if it still has the step's version. Reports whether it had. */
export async function deleteRow(
  sql: postgres.TransactionSql,
  step: Pick<RepairStep, "collection" | "row_id" | "parent_id" | "version">,
): Promise<boolean> {
  const { collection, parent_id, version } = step;
  const done = await sql.unsafe(
    `delete from ${tables[collection].name} t where t.xmin = $1::text::xid and ${whereKey(parent_id, 2)}`,
    [version, ...keyOf(step)],
  );
  return done.count === 1;
}

async function applyStep(
  sql: postgres.TransactionSql,
  step: RepairStep,
  fingerprint: string,
  casts: CastCache,
): Promise<boolean> {
  const { action, collection, document_id, after, version } = step;
  if (action === "insert") {
    const row = decodeRow(collection, after!);
    if (!await insertRow(sql, collection, row, casts)) return false;
    // Deleting a user clears the owner of the user's tasks.
    if (collection === "users") {
      await sql`
        update tasks
        set owner_id = ${row.id!}
        where username = ${row.email!} and owner_id is null and generation is not null`;
    }
    return true;
  }
  if (action === "update") return await overwriteRow(sql, step, after!, casts);
  if (action === "delete") return await deleteRow(sql, step);
  const done = await sql`
    update migration.quarantine
    set original = decode(${after!}, 'base64')
    where fingerprint = ${fingerprint} and collection = ${collection} and document_id = ${document_id}
      and xmin = ${version}::text::xid`;
  return done.count === 1;
}

async function logStep(sql: postgres.TransactionSql, { plan, fingerprint }: RepairPlan, step: RepairStep) {
  const { action, collection, document_id, row_id, parent_id, before, after } = step;
  await sql`
    insert into migration.repairs
      (plan, action, fingerprint, collection, document_id, row_id, parent_id, before_row, after_row)
    values (${plan}, ${action}, ${fingerprint}, ${collection}, ${document_id}, ${row_id}, ${parent_id},
      ${before}, ${after})`;
}

/** Applies and logs one step. Returns the reason when the step is skipped. */
async function tryStep(
  sql: postgres.TransactionSql,
  plan: RepairPlan,
  step: RepairStep,
  casts: CastCache,
): Promise<string | undefined> {
  try {
    const isApplied = await sql.savepoint((inner) => applyStep(inner, step, plan.fingerprint, casts));
    if (!isApplied) {
      return step.action === "insert"
        ? "another row has this key by now"
        : "the row was changed since the plan was made";
    }
  } catch (error) {
    if (!isRefusedRow(error)) throw error;
    return (error as Error).message;
  }
  failpoint("repair.step_applied");
  await logStep(sql, plan, step);
  failpoint("repair.step_logged");
  return undefined;
}

/**
 * Applies a plan in one transaction. Skips steps whose row has changed since the plan was made.
 *
 * @throws AppError busy
 */
export async function applyRepair(pool: Pool, plan: RepairPlan): Promise<RepairResult> {
  const result: RepairResult = { plan: plan.plan, applied: 0, skipped: [] };
  const casts = new CastCache();
  const changedTasks = new Set<string>();
  await withMigratorLock(pool, "repairing", () =>
    pool.begin(async (sql) => {
      failpoint("repair.begun");
      // What comes from MongoDB is not to be written back to it.
      await sql`set local contactsheet.capture = off`;
      for (const step of plan.steps) {
        const { action, collection, document_id, row_id, parent_id } = step;
        const why = await tryStep(sql, plan, step, casts);
        if (why !== undefined) {
          result.skipped.push({ action, collection, document_id, why });
          continue;
        }
        result.applied++;
        if (parent_id) changedTasks.add(parent_id);
        if (collection === "tasks" && row_id && action === "insert") changedTasks.add(row_id);
      }
      await recountTasks(sql, [...changedTasks]);
      failpoint("repair.recounted");
    }));
  failpoint("repair.committed");
  return result;
}
