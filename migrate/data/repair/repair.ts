/** Carries out a plan of repair, each step guarded by the version of the row it was made for, with a log to undo it. */
import type postgres from "postgres";
import type { Pool } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { decodeLine } from "../tools/copy.ts";
import { failpoint } from "../tools/failpoint.ts";
import { dropFence, takeFence } from "../ledger/ledger.ts";
import { type LeftAlone, type RepairPlan, type Step } from "./plan.ts";
import { CastCache, insertRow, recountTasks } from "../load/replay_rows.ts";
import type { Collection } from "../documents/source.ts";
import { formatTable } from "../ledger/status.ts";
import { tables } from "../lens/tables.ts";

export interface RepairResult {
  plan: string;
  applied: number;
  /** Steps whose row was changed since the plan was made, or has no place any more. */
  skipped: { action: Step["action"]; collection: string; document_id: string; why: string }[];
}

/** Runs `work` while no other migrator writes. @throws AppError busy */
export async function underFence<T>(pool: Pool, doing: string, work: () => Promise<T>): Promise<T> {
  const fence = await pool.reserve();
  try {
    if (!await takeFence(fence)) {
      throw new AppError("busy", `${doing}: another migrator works on this database; wait for it to end`);
    }
    try {
      return await work();
    } finally {
      await dropFence(fence);
    }
  } finally {
    fence.release();
  }
}

const keyOf = ({ row_id, parent_id }: Pick<Step, "row_id" | "parent_id">) =>
  parent_id === null ? [row_id!] : [row_id!, parent_id];
const whereKey = (parent_id: string | null, from: number) =>
  `t.id = $${from}::text::uuid${
    parent_id === null ? "" : ` and t.parent_task_id = $${from + 1}::text::uuid`
  }`;

/** Writes a line over the row that still has this version. @returns whether it did */
export async function overwriteRow(
  sql: postgres.TransactionSql,
  step: Pick<Step, "collection" | "row_id" | "parent_id" | "version">,
  line: string,
  casts: CastCache,
): Promise<boolean> {
  const { collection, parent_id, version } = step;
  const { name, columns } = tables[collection];
  const { placeholders } = await casts.get(sql, collection);
  const set = columns.map((column, i) => `${column} = ${placeholders[i]}`);
  const next = columns.length + 1;
  const done = await sql.unsafe(
    `update ${name} t set ${set.join()} where t.xmin = $${next}::text::xid and ${
      whereKey(parent_id, next + 1)
    }`,
    [...decodeLine(line), version, ...keyOf(step)],
  );
  return done.count === 1;
}

/** Deletes the row that still has this version. @returns whether it did */
export async function deleteRow(
  sql: postgres.TransactionSql,
  step: Pick<Step, "collection" | "row_id" | "parent_id" | "version">,
): Promise<boolean> {
  const { collection, parent_id, version } = step;
  const done = await sql.unsafe(
    `delete from ${tables[collection].name} t where t.xmin = $1::text::xid and ${whereKey(parent_id, 2)}`,
    [version, ...keyOf(step)],
  );
  return done.count === 1;
}

export const rowOf = (collection: Collection, line: string) =>
  Object.fromEntries(decodeLine(line).map((field, i) => [tables[collection].columns[i]!, field]));

async function applyStep(
  sql: postgres.TransactionSql,
  step: Step,
  fingerprint: string,
  casts: CastCache,
): Promise<boolean> {
  const { action, collection, document_id, after, version } = step;
  if (action === "insert") {
    const row = rowOf(collection, after!);
    if (!await insertRow(sql, collection, row, casts)) return false;
    // The tasks of a user who was gone lost their owner with him.
    if (collection === "users") {
      await sql`
        update tasks set owner_id = ${row.id!}
        where username = ${row.email!} and owner_id is null and generation is not null`;
    }
    return true;
  }
  if (action === "update") return await overwriteRow(sql, step, after!, casts);
  if (action === "delete") return await deleteRow(sql, step);
  const done = await sql`
    update migration.quarantine set original = decode(${after!}, 'base64')
    where fingerprint = ${fingerprint} and collection = ${collection} and document_id = ${document_id}
      and xmin = ${version}::text::xid`;
  return done.count === 1;
}

async function logStep(sql: postgres.TransactionSql, { plan, fingerprint }: RepairPlan, step: Step) {
  const { action, collection, document_id, row_id, parent_id, before, after } = step;
  await sql`
    insert into migration.repairs
      (plan, action, fingerprint, collection, document_id, row_id, parent_id, before_row, after_row)
    values (${plan}, ${action}, ${fingerprint}, ${collection}, ${document_id}, ${row_id}, ${parent_id},
      ${before}, ${after})`;
}

/**
 * Carries out a plan in one transaction; a step whose row is another by now is skipped and told.
 *
 * @throws AppError busy
 */
export async function applyRepair(pool: Pool, plan: RepairPlan): Promise<RepairResult> {
  const result: RepairResult = { plan: plan.plan, applied: 0, skipped: [] };
  const casts = new CastCache();
  const touched = new Set<string>();
  await underFence(pool, "repairing", () =>
    pool.begin(async (sql) => {
      failpoint("repair.begun");
      for (const step of plan.steps) {
        const { action, collection, document_id } = step;
        const skip = (why: string) => result.skipped.push({ action, collection, document_id, why });
        try {
          const done = await sql.savepoint((inner) => applyStep(inner, step, plan.fingerprint, casts));
          if (!done) {
            skip(
              action === "insert"
                ? "its place was taken meanwhile"
                : "it was changed since the plan was made",
            );
            continue;
          }
        } catch (error) {
          const { code, message } = error as Error & { code?: string };
          if (!/^2[23]/.test(code ?? "")) throw error;
          skip(message);
          continue;
        }
        failpoint("repair.step_applied");
        await logStep(sql, plan, step);
        failpoint("repair.step_logged");
        result.applied++;
        if (collection === "dramatiq_tasks" && step.parent_id) touched.add(step.parent_id);
        if (collection === "tasks" && step.row_id && action === "insert") touched.add(step.row_id);
      }
      await recountTasks(sql, [...touched]);
      failpoint("repair.recounted");
    }));
  failpoint("repair.committed");
  return result;
}

const n = (count: number) => count.toLocaleString("en");

const formatLeft = (left: LeftAlone[]) =>
  left.length === 0 ? [] : [
    "",
    formatTable(
      ["left alone", "_id", "what", "why"],
      left.slice(0, 50).map((one) => [one.collection, one.document_id, one.kind, one.why]),
    ),
  ];

/** The plan for people. */
export function formatPlan({ plan, differences, steps, left, more }: RepairPlan): string {
  if (differences === 0) return "equal: nothing to repair";
  const lines = steps.length === 0 ? [] : [
    formatTable(
      ["step", "collection", "_id", "fields"],
      steps.slice(0, 50).map((s) => [s.action, s.collection, s.document_id, s.paths.slice(0, 5).join(", ")]),
    ),
  ];
  if (steps.length > 50) lines.push(`… and ${n(steps.length - 50)} more`);
  lines.push(...formatLeft(left));
  lines.push("", `plan ${plan}: ${n(steps.length)} steps, ${n(left.length)} left alone`);
  if (more > 0) lines.push(`${n(more)} more differences come in the next plan`);
  return lines.join("\n").trimStart();
}

/** What was done, for people. */
export function formatRepair({ plan, applied, skipped }: RepairResult): string {
  return [
    ...skipped.map(({ action, collection, document_id, why }) =>
      `skipped: ${action} ${collection} ${document_id}: ${why}`
    ),
    `plan ${plan}: ${n(applied)} steps done, ${n(skipped.length)} skipped`,
    ...(applied > 0 ? [`to take it back: deno task migrate data repair --undo ${plan}`] : []),
  ].join("\n");
}
