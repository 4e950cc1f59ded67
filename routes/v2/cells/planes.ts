/** GET /tasks/{id}/planes: one byte per cell and plane, complete or as changes. */
import { z } from "@hono/zod-openapi";
import { type Plane, type PlaneRows, planes, readPlanes } from "../../../db/views/planes.ts";
import { acceptsGzip, gzip } from "../../common/gzip.ts";
import type { V2App } from "../kit/context.ts";
import { defineRoute, taskParams } from "../kit/route.ts";
import { getReadableTask, taskNotFound } from "../tasks/task_access.ts";

/** Bytes up to which compression saves nothing. */
const uncompressedMax = 1_000;

const layout =
  "Without `since`, or if a delta would not be smaller, the response contains the planes in the order of `f`, each " +
  "with `X-Cells` bytes, one per cell. With `X-Delta: true` it contains unordered entries: the cell number (4 bytes, " +
  "little-endian), then one byte per plane. A claim does not raise the revision. Therefore set all cells of status " +
  "2 to 1 before applying a delta; the delta contains every cell that is being drawn. Bytes: `status` 0 no such cell, " +
  "1 pending, 2 processing, 3 completed, 4 failed, 5 cancelled; `rating` ten times the mean, 0 unrated or hidden; " +
  "`n` number of raters, at most 255; `mine` one's own stars, 6 skipped, 0 none; " +
  "`spread` one plus ten times the standard deviation between raters, 0 for fewer than two or hidden. `X-Revision` is the next `since`.";
const planeNames = planes.join("|");
const getPlanes = defineRoute({
  method: "get",
  path: "/tasks/{id}/planes",
  access: "reader",
  tags: ["cells"],
  summary: "Get all cells of a task as one byte per cell and plane",
  request: {
    params: taskParams,
    query: z.object({
      f: z.string().regex(
        new RegExp(`^(?:${planeNames})(?:,(?:${planeNames}))*$`),
        `some of ${planes.join(", ")} by commas`,
      ).default("status,rating").openapi({
        param: { name: "f", in: "query" },
        description: "Comma-separated planes",
      }),
      since: z.string().regex(/^\d{1,15}$/, "a revision").optional().openapi({
        param: { name: "since", in: "query" },
        description: "`X-Revision` of the response that the client has",
      }),
    }),
  },
  responses: {
    200: {
      description: layout,
      content: { "application/octet-stream": { schema: z.string().openapi({ format: "binary" }) } },
      headers: {
        "X-Revision": {
          schema: { type: "string" as const },
          description: "Revision of the task that these bytes represent",
        },
        "X-Cells": { schema: { type: "string" as const }, description: "Number of cells of the task" },
        "X-Delta": {
          schema: { type: "string" as const },
          description: "`true` for a delta, otherwise `false`",
        },
      },
    },
  },
});

function toFullPlanes({ length, cells, bytes }: PlaneRows): Uint8Array<ArrayBuffer> {
  const allBytes = new Uint8Array(length * bytes.length);
  bytes.forEach((plane, p) => {
    for (let i = 0; i < cells.length; i++) allBytes[p * length + cells[i]!] = plane[i]!;
  });
  return allBytes;
}

function toDelta({ cells, bytes }: PlaneRows): Uint8Array<ArrayBuffer> {
  const size = 4 + bytes.length;
  const delta = new Uint8Array(cells.length * size);
  const view = new DataView(delta.buffer);
  for (let i = 0; i < cells.length; i++) {
    view.setUint32(i * size, cells[i]!, true);
    bytes.forEach((plane, p) => delta[i * size + 4 + p] = plane[i]!);
  }
  return delta;
}

export function addPlanes(app: V2App): void {
  app.openapi(getPlanes, async (c) => {
    const { id } = c.req.valid("param");
    const { f, since } = c.req.valid("query");
    const { hidesOthers, revision } = await getReadableTask(c, id);
    const { deps: { sql }, principal } = c.var;
    const requested = [...new Set(f.split(","))] as Plane[];
    const read = async (since: string | undefined) => {
      const rows = await readPlanes(sql, {
        taskId: id,
        wanted: requested,
        since,
        viewer: { id: principal.id, hidesOthers },
      });
      if (!rows) throw taskNotFound(id);
      return rows;
    };
    // A revision above the task's comes from another database. Revision 0 means that the client has no planes.
    const isKnown = since !== undefined && Number(since) > 0 && Number(since) <= Number(revision);
    const changed = isKnown ? await read(since) : undefined;
    const isDelta = changed !== undefined &&
      changed.cells.length * (4 + requested.length) < changed.length * requested.length;
    const rows = isDelta ? changed : await read(undefined);
    const bytes = isDelta ? toDelta(rows) : toFullPlanes(rows);
    const isCompressed = bytes.length > uncompressedMax && acceptsGzip(c.req.header("accept-encoding"));
    return c.body(isCompressed ? await gzip(bytes) : bytes, 200, {
      ...(isCompressed ? { "content-encoding": "gzip" } : {}),
      "vary": "accept-encoding",
      "content-type": "application/octet-stream",
      "x-revision": rows.revision,
      "x-cells": String(rows.length),
      "x-delta": String(isDelta),
    });
  });
}
