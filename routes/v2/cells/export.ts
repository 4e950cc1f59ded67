/** GET /tasks/{id}/export: all cells as CSV, JSON lines or one HTML page, streamed in constant memory. */
import { z } from "@hono/zod-openapi";
import type { Pool } from "../../../db/pg/connect.ts";
import {
  type ExportCell,
  type ExportHead,
  type ExportViewer,
  findExportHead,
  findExportNames,
  listExportCells,
} from "../../../db/views/export.ts";
import { streamPieces } from "../../../db/pg/json_stream.ts";
import type { Principal, V2App } from "../kit/context.ts";
import { listPeople } from "./export_feedback.ts";
import { pageEnd, pageRows, pageStart } from "./export_page.ts";
import { readExportAxes } from "./export_axes.ts";
import { csvHead, csvRow, type ExportRow, ndjsonRow, toRow } from "./export_rows.ts";
import { HttpError } from "../kit/problem.ts";
import { defineRoute, taskParams } from "../kit/route.ts";
import { getReadableTask, taskNotFound } from "../tasks/task_access.ts";
import { counted, inflect } from "../../../phrases.ts";

type Format = "csv" | "ndjson" | "html";

const exportQuery = z.object({
  format: z.enum(["csv", "ndjson", "html"]).default("csv").openapi({
    param: { name: "format", in: "query" },
  }),
  bom: z.enum(["true", "false"]).default("true").openapi({
    param: { name: "bom", in: "query" },
    description:
      "CSV only: starts with a byte order mark, without which spreadsheets on many systems do not detect " +
      "UTF-8. Programs that do not skip the mark ask for `false`",
  }),
});

const fileSchema = (description: string) => ({ schema: z.string().openapi({ description }) });
const getExport = defineRoute({
  method: "get",
  path: "/tasks/{id}/export",
  access: "reader",
  tags: ["tasks"],
  summary: "Export all cells with their feedback as a file",
  description:
    "Each cell is exported in its state at the time of reading, with everything that people said about it: ratings " +
    "and reasons for skipping, evaluations with their tags, tags of the cell, votes, and feedback on earlier images " +
    "(`earlier_images`). Lists whose names begin with the same word have the same order. A person is an e-mail " +
    "address, or an id for a share, for a deleted user, and for requests with a share. Where others' ratings are " +
    "hidden, cells that one has not rated are exported without means, ratings, evaluations and tags of others; votes " +
    "of others only for the owner of the task and admins. `favourite` is one's own.",
  request: { params: taskParams, query: exportQuery },
  responses: {
    200: {
      description: "The file",
      content: {
        "text/csv": fileSchema(
          "RFC 4180 in UTF-8. A field of the header or of a row that a spreadsheet would interpret as a formula gets " +
            "an apostrophe before it. Lists are JSON in the field, and empty fields if they are empty. Null is an " +
            'empty field, an empty text `""`. The columns hold the same values as the fields of a JSON line',
        ),
        "application/x-ndjson": fileSchema(
          "One JSON object per line and cell; `axes` lists the cell's value on each axis. A seed may exceed the " +
            "precision of a double",
        ),
        "text/html": fileSchema("One page that contains everything except the images"),
      },
    },
  },
});

const contentTypes: Record<Format, string> = {
  csv: "text/csv; charset=utf-8; header=present",
  ndjson: "application/x-ndjson",
  html: "text/html; charset=utf-8",
};

/** Rows of the first batch, few for a quick start, and of the others, enough to amortise a statement. */
const firstRows = 100;
const batchRows = 500;
/** Maximum number of running exports in this process, per principal and in total. */
const ownMax = 3;
const allMax = 12;

/** Options of an export. */
interface ExportOptions {
  taskId: string;
  format: Format;
  bom: boolean;
  viewer: ExportViewer;
  /** Writes e-mail addresses of people instead of their ids. */
  seesNames: boolean;
  head: ExportHead;
}

/** Reads batches of rows. The next batch is read while the caller writes one. */
async function* readBatches(sql: Pool, options: ExportOptions): AsyncGenerator<ExportRow[]> {
  const { taskId, viewer, seesNames, head } = options;
  const axes = readExportAxes(head);
  const names = new Map<string, string>();
  const addNames = async (cells: ExportCell[]) => {
    const ids = [...listPeople(cells)].filter((id) => !names.has(id));
    for (const id of ids) names.set(id, id);
    const found = ids.length === 0 ? [] : await findExportNames(sql, ids);
    for (const { id, email } of found) names.set(id, email);
  };
  const readCells = async (after: number, limit: number) => {
    const cells = await listExportCells(sql, { taskId, after, limit, viewer, head });
    if (seesNames) await addNames(cells);
    return cells;
  };
  const read = (after: number, limit: number) => {
    const cells = readCells(after, limit);
    // If the reader stops, nobody awaits this promise. If it continues, it receives the error from `await
    // next`.
    cells.catch(() => {});
    return cells;
  };
  let limit = firstRows;
  let next = read(-1, limit);
  for (;;) {
    const cells = await next;
    const isLast = cells.length < limit;
    limit = batchRows;
    if (!isLast) next = read(cells.at(-1)!.cell, limit);
    if (cells.length > 0) yield cells.map((cell) => toRow(axes, cell, (id) => names.get(id) ?? id));
    if (isLast) return;
  }
}

function startOf({ format, bom, viewer, head }: ExportOptions): string {
  const axes = readExportAxes(head);
  if (format === "ndjson") return "";
  if (format === "csv") return (bom ? "\ufeff" : "") + csvHead(axes);
  return pageStart({
    title: head.task_name,
    created_at: head.created_at.toISOString(),
    exported_at: new Date().toISOString(),
    axes,
    total: head.subtasks_total,
    blind: viewer.hidesOthers,
  });
}

/** Writes the export. Each piece is read when it is requested. */
export async function* writeExport(sql: Pool, options: ExportOptions): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  const axes = readExportAxes(options.head);
  const write: Record<Format, (rows: ExportRow[]) => string> = {
    csv: (rows) => rows.map((row) => csvRow(axes, row)).join(""),
    ndjson: (rows) => rows.map((row) => ndjsonRow(axes, row)).join(""),
    html: pageRows,
  };
  const start = startOf(options);
  if (start !== "") yield encoder.encode(start);
  for await (const rows of readBatches(sql, options)) yield encoder.encode(write[options.format](rows));
  if (options.format === "html") yield encoder.encode(pageEnd());
}

/** Numbers of running exports by principal. */
type RunningExports = Map<string, number>;

/** Counts an export as running. @returns a function that ends it @throws HttpError too_many_requests */
function startExport(running: RunningExports, { id }: Principal): () => void {
  const own = running.get(id) ?? 0;
  const all = [...running.values()].reduce((sum, count) => sum + count, 0);
  if (own >= ownMax || all >= allMax) {
    throw new HttpError(
      "too_many_requests",
      `exporting: ${counted(all, "export")} ${inflect(all, "is", "are")} under way, ${own} of them yours`,
      {
        "retry-after": "2",
      },
    );
  }
  running.set(id, own + 1);
  let hasEnded = false;
  return () => {
    if (hasEnded) return;
    hasEnded = true;
    const left = running.get(id)! - 1;
    if (left > 0) running.set(id, left);
    else running.delete(id);
  };
}

async function* withFinalizer<T>(pieces: AsyncIterable<T>, done: () => void): AsyncGenerator<T> {
  try {
    yield* pieces;
  } finally {
    done();
  }
}

/** Returns a Content-Disposition with a name for any file system and the full name (RFC 6266). */
function disposition(name: string, format: Format): string {
  const fileName =
    (name.toWellFormed().replace(/[\p{Cc}\p{Cf}"\\/:*?<>|]+/gu, " ").replace(/ +/g, " ").trim() || "task")
      .slice(
        0,
        100,
      ).toWellFormed();
  const asciiName = fileName.normalize("NFKD").replace(/[^\w .-]+/g, "").trim() || "task";
  const encodedName = encodeURIComponent(fileName)
    .replace(/['()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`);
  return `attachment; filename="${asciiName}.${format}"; filename*=UTF-8''${encodedName}.${format}`;
}

export function addExport(app: V2App): void {
  const running: RunningExports = new Map();
  app.openapi(getExport, async (c) => {
    const { id } = c.req.valid("param");
    const { format, bom } = c.req.valid("query");
    const { sql } = c.var.deps;
    const { hidesOthers, mayChange } = await getReadableTask(c, id);
    const head = await findExportHead(sql, id);
    if (!head) throw taskNotFound(id);
    const endExport = startExport(running, c.var.principal);
    const { id: viewerId, kind } = c.var.principal;
    const viewer = { id: viewerId, hidesOthers, seesVotes: mayChange };
    const pieces = writeExport(sql, {
      taskId: id,
      format,
      bom: bom === "true",
      viewer,
      seesNames: kind === "user",
      head,
    });
    c.req.raw.signal.addEventListener("abort", endExport, { once: true });
    return c.body(streamPieces(withFinalizer(pieces, endExport)), 200, {
      "content-type": contentTypes[format],
      "content-disposition": disposition(head.task_name, format),
      "cache-control": "private, no-store",
    });
  });
}
