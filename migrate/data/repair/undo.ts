/** Takes a repair back, newest step first, each guarded by what the repair left. */
import type postgres from "postgres";
import type { Pool } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { failpoint } from "../tools/failpoint.ts";
import { deleteRow, overwriteRow, rowOf, underFence } from "./repair.ts";
import { readStanding } from "./plan.ts";
import { CastCache, insertRow, recountTasks } from "../load/replay_rows.ts";
import type { Collection } from "../documents/source.ts";
import { tables } from "../lens/tables.ts";

export interface UndoResult {
  plan: string;
  undone: number;
  /** Steps whose row was changed after the repair: they stay as they are. */
  skipped: { collection: string; document_id: string }[];
}

interface Logged {
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

async function undoStep(sql: postgres.TransactionSql, step: Logged, casts: CastCache): Promise<boolean> {
  const { action, collection, before_row, after_row } = step;
  if (action === "original") {
    const done = await sql`
      update migration.quarantine set original = decode(${before_row!}, 'base64')
      where fingerprint = ${step.fingerprint} and collection = ${collection}
        and document_id = ${step.document_id} and original = decode(${after_row!}, 'base64')`;
    return done.count === 1;
  }
  if (action === "delete") {
    // A deleted row was logged whole: it had columns that no lens speaks of.
    const { name } = tables[collection];
    const back = await sql.unsafe(
      `insert into ${name} select r.* from json_populate_record(null::${name}, $1::text::json) as r
      on conflict do nothing returning id`,
      [before_row!],
    );
    return back.length === 1;
  }
  const standing = await readStanding(sql, collection, step);
  if (standing?.line !== after_row) return false;
  const seen = { ...step, version: standing!.version };
  if (action === "insert") return await deleteRow(sql, seen);
  return before_row === null
    ? await insertRow(sql, collection, rowOf(collection, after_row!), casts)
    : await overwriteRow(sql, seen, before_row, casts);
}

/**
 * Takes back what a plan did, in one transaction.
 *
 * @throws AppError not_found where nothing of the plan is left to undo; busy
 */
export async function undoRepair(pool: Pool, plan: string): Promise<UndoResult> {
  const result: UndoResult = { plan, undone: 0, skipped: [] };
  const casts = new CastCache();
  const touched = new Set<string>();
  await underFence(pool, "undoing a repair", () =>
    pool.begin(async (sql) => {
      const steps = await sql<Logged[]>`
        select id::text as id, action, fingerprint, collection, document_id, row_id::text as row_id,
          parent_id::text as parent_id, before_row, after_row
        from migration.repairs
        where plan = ${plan} and undone_at is null
        order by id desc`;
      if (steps.length === 0) {
        throw new AppError("not_found", `undoing repair '${plan}': no step of such a plan is left to undo`);
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
        if (collection === "dramatiq_tasks" && step.parent_id) touched.add(step.parent_id);
      }
      await recountTasks(sql, [...touched]);
      failpoint("undo.recounted");
    }));
  failpoint("undo.committed");
  return result;
}

/** What was taken back, for people. */
export function formatUndo({ plan, undone, skipped }: UndoResult): string {
  return [
    ...skipped.map(({ collection, document_id }) =>
      `skipped: ${collection} ${document_id}: it was changed after the repair`
    ),
    `plan ${plan}: ${undone.toLocaleString("en")} steps taken back`,
  ].join("\n");
}
