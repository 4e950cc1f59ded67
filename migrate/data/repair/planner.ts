/** Turns differences into the steps of a repair plan. */
import type postgres from "postgres";
import type { Mismatch } from "../verify/mismatch.ts";
import type { Collection, RawDocument } from "../documents/source.ts";
import { encodeRow, mapDocument, tables } from "../lens/tables.ts";
import { findCurrentRow, type RepairStep, type UnrepairedDifference } from "./step.ts";

export interface PlannerOptions {
  /** Deletes rows that no document has. */
  deleteExtra?: boolean;
  /** Overwrites rows that the new system has changed since the load. */
  overwriteNew?: boolean;
}

/** Collects the steps of a plan. */
export class Planner {
  readonly steps: RepairStep[] = [];
  readonly unrepaired: UnrepairedDifference[] = [];

  constructor(
    readonly sql: postgres.ReservedSql,
    readonly options: PlannerOptions,
    readonly findParent: (name: string) => string | undefined,
  ) {}

  addUnrepaired({ collection, document_id, kind }: Mismatch, why: string): void {
    this.unrepaired.push({ collection, document_id, kind, why });
  }

  /** Plans to insert or update the row of a document. */
  async planRow(collection: Collection, raw: RawDocument, mismatches: Mismatch[]): Promise<void> {
    const { sql } = this;
    const [first] = mismatches as [Mismatch];
    const paths = mismatches.map(({ path }) => path);
    const common = { collection, document_id: first.document_id, paths };
    const mapped = mapDocument(collection, raw, this.findParent);
    if ("rejected" in mapped) {
      return this.addUnrepaired(first, `the lens rejects the document: ${mapped.rejected.reason}`);
    }
    const { row } = mapped;
    const key = { row_id: row.id!, parent_id: row.parent_task_id ?? null };
    const after = encodeRow(collection, row);
    const current = await findCurrentRow(sql, collection, key);
    if (!current) {
      this.steps.push({ ...common, ...key, action: "insert", before: null, after, version: null });
    } else if (current.line !== after) {
      if (current.isNew && !this.options.overwriteNew) {
        return this.addUnrepaired(
          first,
          "the new system changed the row after the load; --over-new overwrites it",
        );
      }
      const { line: before, version } = current;
      this.steps.push({ ...common, ...key, action: "update", before, after, version });
    }
  }

  /** Plans to replace the bytes of a quarantined document. */
  async planOriginal(collection: Collection, raw: RawDocument, fingerprint: string): Promise<void> {
    const [quarantined] = await this.sql`
      select q.xmin::text as version, q.document_id, encode(q.original, 'base64') as before
      from migration.quarantine q
      where q.fingerprint = ${fingerprint} and q.collection = ${collection} and q.position = ${raw.position}`;
    if (!quarantined) return;
    this.steps.push({
      action: "original",
      collection,
      document_id: quarantined.document_id,
      paths: [`position ${raw.position}`],
      row_id: null,
      parent_id: null,
      version: quarantined.version,
      before: quarantined.before.replaceAll("\n", ""),
      after: raw.original().toBase64(),
    });
  }

  /** Plans to delete a row that no document has. */
  async planExtraRow(mismatch: Mismatch): Promise<void> {
    const id = /row ([0-9a-f-]{36})$/.exec(mismatch.row_value ?? "")?.[1];
    if (id === undefined) {
      return this.addUnrepaired(
        mismatch,
        "several sources filled this table: the extra row is not identified",
      );
    }
    if (!this.options.deleteExtra) {
      return this.addUnrepaired(mismatch, "no document has this row; --delete-extra deletes it");
    }
    const collection = mismatch.collection as Collection;
    const { name, keyColumns } = tables[collection];
    const parentId = keyColumns.includes("parent_task_id") ? "t.parent_task_id::text" : "null";
    const rows = await this.sql.unsafe(
      `
      select t.xmin::text as version, row_to_json(t)::text as before, ${parentId} as parent_id
      from ${name} t
      where t.id = $1`,
      [id],
    );
    for (const { version, before, parent_id } of rows) {
      const { document_id } = mismatch;
      this.steps.push({
        action: "delete",
        collection,
        document_id,
        paths: [],
        row_id: id,
        parent_id,
        before,
        version,
        after: null,
      });
    }
  }
}

/** Groups mismatches by what they concern. */
export function groupMismatches(mismatches: Mismatch[]) {
  /** Mismatches of rows, by `collection/_id`. */
  const rows = new Map<string, Mismatch[]>();
  /** Mismatches of quarantined bytes, by `collection/position n`. */
  const originals = new Map<string, Mismatch>();
  const extraRows: Mismatch[] = [];
  const unrepairable: Mismatch[] = [];
  for (const mismatch of mismatches) {
    const { collection, document_id, kind } = mismatch;
    if (kind === "extra_row") extraRows.push(mismatch);
    else if (kind === "ledger_changed" || kind === "derived_changed") unrepairable.push(mismatch);
    else if (kind === "quarantine_changed" && document_id.startsWith("position ")) {
      originals.set(`${collection}/${document_id}`, mismatch);
    } else {
      const key = `${collection}/${document_id}`;
      rows.set(key, [...rows.get(key) ?? [], mismatch]);
    }
  }
  return { rows, originals, extraRows, unrepairable };
}

/** Returns why a mismatch of the ledger or of a derived value is not repaired. */
export const unrepairableReason = ({ kind }: Mismatch) =>
  kind === "ledger_changed"
    ? "an entry of the ledger was changed and cannot be derived from the rows: restore a backup"
    : "the value is derived and in no document: 'deno task worker:doctor' checks counters";
