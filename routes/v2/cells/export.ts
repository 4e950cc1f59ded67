/** A task carried out of here: a table, lines of JSON, or a page with a viewer; streamed, flat in memory. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Pool } from "../../../db/pg/connect.ts";
import { type ExportHead, findExportHead, listExportCells } from "../../../db/views/export.ts";
import { streamPieces } from "../../../db/pg/json_stream.ts";
import type { Looker } from "../../../db/judging/ratings.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { pageEnd, pageRows, pageStart } from "./export_page.ts";
import { csvHead, csvRow, type ExportRow, ndjsonRow, readAxes, toRow } from "./export_rows.ts";
import { HttpFailure } from "../kit/problem.ts";
import { defineRoute, taskParams } from "../kit/route.ts";
import { getTaskOf, noTask } from "../tasks/tasks_of.ts";

type Format = "csv" | "ndjson" | "html";

const exportQuery = z.object({
  format: z.enum(["csv", "ndjson", "html"]).default("csv").openapi({
    param: { name: "format", in: "query" },
  }),
  bom: z.enum(["true", "false"]).default("false").openapi({
    param: { name: "bom", in: "query" },
    description: "csv: begin with a byte order mark, by which Excel knows UTF-8",
  }),
});

const text = (description: string) => ({ schema: z.string().openapi({ description }) });
const getExport = defineRoute({
  method: "get",
  path: "/tasks/{id}/export",
  who: "reader",
  tags: ["tasks"],
  summary: "All cells with what was said of them, as a file",
  description:
    "Cells as they are when their turn comes. While others' ratings are hidden, means, evaluations and " +
    "tags of others are left out of cells that one has not rated.",
  request: { params: taskParams, query: exportQuery },
  responses: {
    200: {
      description: "Streamed",
      content: {
        "text/csv": text("RFC 4180; what a spreadsheet would compute begins with an apostrophe"),
        "application/x-ndjson": text("A cell a line"),
        "text/html": text("One page with everything in it but the images"),
      },
    },
  },
});

const types: Record<Format, string> = {
  csv: "text/csv; charset=utf-8; header=present",
  ndjson: "application/x-ndjson",
  html: "text/html; charset=utf-8",
};

/** Few at first, so that the first bytes come soon; then so many that a statement is worth it and the loop turns. */
const firstRows = 100;
const batchRows = 500;
/** Under way at once in this process: of one who asks, and of all. */
const ownMax = 3;
const allMax = 12;

interface Order {
  taskId: string;
  format: Format;
  bom: boolean;
  looker: Looker;
  head: ExportHead;
}

/** The next batch is on its way while one is written. */
async function* readBatches(sql: Pool, { taskId, looker, head }: Order): AsyncGenerator<ExportRow[]> {
  const axes = readAxes(head);
  const read = (after: number, limit: number) => {
    const cells = listExportCells(sql, { taskId, after, limit, looker, hasTags: head.has_tags });
    // Nobody may wait for it any more; who does hears of its failure all the same.
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
    if (cells.length > 0) yield cells.map((cell) => toRow(axes, cell));
    if (isLast) return;
  }
}

async function startOf({ format, bom, looker, head }: Order): Promise<string> {
  const axes = readAxes(head);
  if (format === "ndjson") return "";
  if (format === "csv") return (bom ? "\ufeff" : "") + csvHead(axes);
  return await pageStart({
    title: head.task_name,
    created_at: head.created_at.toISOString(),
    exported_at: new Date().toISOString(),
    axes,
    total: head.subtasks_total,
    blind: looker.hidesOthers,
  });
}

/** The export's bytes, each piece read when it is asked for. */
export async function* writeExport(sql: Pool, order: Order): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  const axes = readAxes(order.head);
  const write: Record<Format, (rows: ExportRow[]) => string> = {
    csv: (rows) => rows.map((row) => csvRow(axes, row)).join(""),
    ndjson: (rows) => rows.map((row) => ndjsonRow(axes, row)).join(""),
    html: pageRows,
  };
  const start = await startOf(order);
  if (start !== "") yield encoder.encode(start);
  for await (const rows of readBatches(sql, order)) yield encoder.encode(write[order.format](rows));
  if (order.format === "html") yield encoder.encode(await pageEnd());
}

const underWay = new WeakMap<object, Map<string, number>>();

/** Takes room for an export. @returns what gives it back @throws HttpFailure too_many_requests */
function takeRoom({ var: { deps, principal } }: Context<V2Env>): () => void {
  const held = underWay.get(deps) ?? new Map<string, number>();
  underWay.set(deps, held);
  const own = held.get(principal.id) ?? 0;
  const all = [...held.values()].reduce((sum, count) => sum + count, 0);
  if (own >= ownMax || all >= allMax) {
    throw new HttpFailure("too_many_requests", `exporting: ${own} of yours and ${all} in all are under way`, {
      "retry-after": "2",
    });
  }
  held.set(principal.id, own + 1);
  let given = false;
  return () => {
    if (given) return;
    given = true;
    const left = held.get(principal.id)! - 1;
    if (left > 0) held.set(principal.id, left);
    else held.delete(principal.id);
  };
}

async function* finallyDo<T>(pieces: AsyncIterable<T>, done: () => void): AsyncGenerator<T> {
  try {
    yield* pieces;
  } finally {
    done();
  }
}

/** A name that any file system takes, and the whole one beside it (RFC 6266). */
function disposition(name: string, format: Format): string {
  const line =
    (name.toWellFormed().replace(/[\p{Cc}\p{Cf}"\\/:*?<>|]+/gu, " ").replace(/ +/g, " ").trim() || "task")
      .slice(
        0,
        100,
      ).toWellFormed();
  const plain = line.normalize("NFKD").replace(/[^\w .-]+/g, "").trim() || "task";
  const whole = encodeURIComponent(line).replace(/['()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`);
  return `attachment; filename="${plain}.${format}"; filename*=UTF-8''${whole}.${format}`;
}

export function addExport(app: V2App): void {
  app.openapi(getExport, async (c) => {
    const { id } = c.req.valid("param");
    const { format, bom } = c.req.valid("query");
    const { sql } = c.var.deps;
    const { hidesOthers } = await getTaskOf(c, id);
    const head = await findExportHead(sql, id);
    if (!head) throw noTask(id);
    const giveBack = takeRoom(c);
    const looker = { id: c.var.principal.id, hidesOthers };
    const pieces = writeExport(sql, { taskId: id, format, bom: bom === "true", looker, head });
    c.req.raw.signal.addEventListener("abort", giveBack, { once: true });
    return c.body(streamPieces(finallyDo(pieces, giveBack)), 200, {
      "content-type": types[format],
      "content-disposition": disposition(head.task_name, format),
      "cache-control": "private, no-store",
    });
  });
}
