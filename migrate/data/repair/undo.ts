/** Undoes a repair, the newest step first. Rows that were changed after the repair stay as they are. */
import type postgres from "postgres";
import type { Pool } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { failpoint } from "../tools/failpoint.ts";
import { withMigratorLock } from "../ledger/lock.ts";
import { deleteRow, overwriteRow } from "./repair.ts";
import { findCurrentRow } from "./step.ts";
import { CastCache, insertRow, recountTasks } from "../load/rows.ts";
import type { Collection } from "../documents/source.ts";
import { decodeRow, tables } from "../lens/tables.ts";

export interface UndoResult {
  plan: string;
  undone: number;
  /** Steps that were not undone because the row was changed after the repair. */
  skipped: { collection: string; document_id: string }[];
}

/** A logged step of a repair. */
interface LoggedStep {
  id: string;
  action: "insert" | "update" | "delete" | "original";
  fingerprint: string;
  collection: Collection;
  document_id: string;
  row_id: string | null;
  parent_id: string | null;
  before_row: string | null;
  after_row: string | null;
}

async function undoStep(sql: postgres.TransactionSql, step: LoggedStep, casts: CastCache): Promise<boolean> {
  const { action, collection, before_row, after_row } = step;
  if (action === "original") {
    const done = await sql`
      update migration.quarantine
      set original = decode(${before_row!}, 'base64')
      where fingerprint = ${step.fingerprint} and collection = ${collection}
        and document_id = ${step.document_id} and original = decode(${after_row!}, 'base64')`;
    return done.count === 1;
  }
  if (action === "delete") {
    // The log holds the whole deleted row, including columns that the lens does not map.
    const { name } = tables[collection];
    const inserted = await sql.unsafe(
      `
      insert into ${name}
      select r.*
      from json_populate_record(null::${name}, $1::text::json) as r
      on conflict do nothing
      returning id`,
      [before_row!],
    );
    return inserted.length === 1;
  }
  const current = await findCurrentRow(sql, collection, step);
  if (current?.line !== after_row) return false;
  const target = { ...step, version: current!.version };
  if (action === "insert") return await deleteRow(sql, target);
  return before_row === null
    ? await insertRow(sql, collection, decodeRow(collection, after_row!), casts)
    : await overwriteRow(sql, target, before_row, casts);
}

/**
 * Undoes all applied steps of a plan in one transaction.
 *
 * @throws AppError not_found when the plan has no step left to undo; busy
 */
export async function undoRepair(pool: Pool, plan: string): Promise<UndoResult> {
  const result: UndoResult = { plan, undone: 0, skipped: [] };
  const casts = new CastCache();
  const changedTasks = new Set<string>();
  await withMigratorLock(pool, "undoing a repair", () =>
    pool.begin(async (sql) => {
      const steps = await sql<LoggedStep[]>`
        select id::text as id, action, fingerprint, collection, document_id, row_id::text as row_id,
          parent_id::text as parent_id, before_row, after_row
        from migration.repairs
        where plan = ${plan} and undone_at is null
        order by id desc`;
      if (steps.length === 0) {
        throw new AppError("not_found", `undoing repair '${plan}': this plan has no step left to undo`);
      }
      failpoint("undo.begun");
      for (const step of steps) {
        const { collection, document_id } = step;
        if (!await undoStep(sql, step, casts)) {
          result.skipped.push({ collection, document_id });
          continue;
        }
        await sql`update migration.repairs set undone_at = now() where id = ${step.id}`;
        failpoint("undo.step_undone");
        result.undone++;
        if (step.parent_id) changedTasks.add(step.parent_id);
      }
      await recountTasks(sql, [...changedTasks]);
      failpoint("undo.recounted");
    }));
  failpoint("undo.committed");
  return result;
}
