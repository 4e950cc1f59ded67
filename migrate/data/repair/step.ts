/** The steps of a repair plan. */
import type postgres from "postgres";
import { copyOut } from "../tools/copy.ts";
import type { Mismatch } from "../verify/mismatch.ts";
import type { Collection } from "../documents/source.ts";
import { tables } from "../lens/tables.ts";

/**
 * One change of a repair. `before` and `after` are COPY text of the lens's columns; for `original` they are bytes in
 * base64, and for `delete` the whole row as JSON.
 */
export interface RepairStep {
  action: "insert" | "update" | "delete" | "original";
  collection: Collection;
  document_id: string;
  /** Paths of the differing fields, as in the result of verify(). */
  paths: string[];
  row_id: string | null;
  parent_id: string | null;
  before: string | null;
  after: string | null;
  /** Version (`xmin`) of the row that the plan read; null when there is no row. */
  version: string | null;
}

/** A difference that the plan does not repair, and the reason. */
export interface UnrepairedDifference {
  collection: string;
  document_id: string;
  kind: Mismatch["kind"];
  why: string;
}

export interface RepairPlan {
  /** Name of the plan: a digest of its steps. */
  plan: string;
  fingerprint: string;
  differences: number;
  /** Steps in load order, parents before children. */
  steps: RepairStep[];
  left: UnrepairedDifference[];
  /** Differences beyond the first thousand; they need another plan. */
  more: number;
}

/** The current content of a row. */
export interface CurrentRow {
  /** COPY text of the lens's columns. */
  line: string;
  /** `xmin` of the row. */
  version: string;
  /** Whether the row was changed after the load was settled. */
  isNew: boolean;
}

const isNewSql =
  "coalesce(t.updated_at > (select min(settled_at) from migration.sources) and t.updated_at <= now(), false)";

/** Finds a row by its key. The ids must be uuids, as they become part of the statement. */
export async function findCurrentRow(
  sql: postgres.ISql,
  collection: Collection,
  { row_id, parent_id }: Pick<RepairStep, "row_id" | "parent_id">,
): Promise<CurrentRow | undefined> {
  const { name, columns } = tables[collection];
  const parent = parent_id === null ? "" : ` and t.parent_task_id = '${parent_id}'`;
  const list = columns.map((column) => `t.${column}`).join();
  const statement = `
    copy (
      select t.xmin, ${isNewSql}, ${list}
      from ${name} t
      where t.id = '${row_id}'${parent}
    ) to stdout`;
  let current: CurrentRow | undefined;
  for await (const text of copyOut(sql, statement)) {
    const [version, isNew] = text.split("\t", 2) as [string, string];
    current = { version, isNew: isNew === "t", line: text.slice(version.length + isNew.length + 2) };
  }
  return current;
}
