/** Subtasks whose task is deleted. Their documents may still exist, so they wait for the task with their bytes. */
import type { Sql } from "../../../db/pg/connect.ts";
import { writeBson } from "../documents/bson_write.ts";
import { documentKey } from "../documents/ids.ts";
import { copyOut } from "../tools/copy.ts";
import { decodeRow, tables } from "../lens/tables.ts";
import { RawBson } from "../sources/bson_documents.ts";
import { insertWaiting } from "./entries.ts";
import type { WaitingDocument } from "./mapping.ts";

const rowsAtOnce = 1000;
const { columns, toDocument } = tables.dramatiq_tasks;

function toWaiting(line: string, originals: ReadonlyMap<string, Uint8Array>): WaitingDocument {
  const row = decodeRow("dramatiq_tasks", line);
  const document = toDocument(row);
  const documentId = documentKey(document.get("_id")!);
  const parent = document.get("parent_task_id");
  return {
    collection: "dramatiq_tasks",
    documentId,
    legacyId: row.legacy_id!,
    raw: new RawBson(0, originals.get(documentId) ?? writeBson(document)),
    awaited: typeof parent === "string" ? parent : row.parent_task_id!,
    rejection: {
      reason: "orphan",
      path: "parent_task_id",
      detail: `its task ${row.parent_task_id} was deleted`,
    },
  };
}

/** Returns the originals of a task's subtasks by document. */
async function findOriginals(sql: Sql, task: string): Promise<Map<string, Uint8Array>> {
  const rows = await sql<{ document_id: string; original: Uint8Array }[]>`
    select o.document_id, o.original
    from migration.originals o
    join subtasks s on s.id = o.row_id
    where s.parent_task_id = ${task} and o.collection = 'dramatiq_tasks' and o.document_id is not null`;
  return new Map(rows.map(({ document_id, original }) => [document_id, original]));
}

/**
 * Marks quarantined documents as without a row, because the row of their last accepted version is deleted.
 *
 * @returns those of the documents that are in quarantine
 */
async function releaseQuarantined(sql: Sql, documentIds: string[]): Promise<Set<string>> {
  const rows = await sql`
    update migration.quarantine
    set has_row = false
    where collection = 'dramatiq_tasks' and document_id = any (${documentIds}::text[]) and has_row
    returning document_id`;
  return new Set(rows.map(({ document_id }) => document_id));
}

async function keepSubtasks(sql: Sql, task: string): Promise<void> {
  const originals = await findOriginals(sql, task);
  for (let last = "00000000-0000-0000-0000-000000000000", isLast = false; !isLast;) {
    // The ids are uuids of rows, so they hold no quotes.
    const statement = `
      copy (
        select ${columns.join()}
        from subtasks
        where parent_task_id = '${task}' and id > '${last}'
        order by id
        limit ${rowsAtOnce}
      ) to stdout`;
    const waiting: WaitingDocument[] = [];
    for await (const line of copyOut(sql, statement)) {
      waiting.push(toWaiting(line, originals));
      last = line.split("\t", 2)[1]!;
    }
    // The row of a quarantined document is that of an earlier version, which must not come back.
    const quarantined = await releaseQuarantined(sql, waiting.map(({ documentId }) => documentId));
    await insertWaiting(sql, waiting.filter(({ documentId }) => !quarantined.has(documentId)), new Set());
    isLast = waiting.length < rowsAtOnce;
  }
}

/** Puts the documents of the subtasks of these tasks among the waiting ones. The rows are deleted with the tasks. */
export async function keepSubtasksWaiting(sql: Sql, tasks: readonly string[]): Promise<void> {
  for (const task of tasks) await keepSubtasks(sql, task);
}
