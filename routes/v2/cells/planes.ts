/** All cells of a task at a glance: one byte a cell and plane, whole or what changed. */
import { z } from "@hono/zod-openapi";
import { type Plane, type PlaneRows, planes, readPlanes } from "../../../db/views/planes.ts";
import type { V2App } from "../kit/context.ts";
import { defineRoute, taskParams } from "../kit/route.ts";
import { getTaskOf, noTask } from "../tasks/tasks_of.ts";

const layout =
  "Without `since`, or where a delta would be no smaller: the planes one after the other as `f` names " +
  "them, each `X-Cells` bytes, cell by cell. Else (`X-Delta: true`) entries in no order: the cell's number " +
  "(4 bytes, little-endian), then a byte for each plane. A claim moves no revision, so before applying a delta all " +
  "cells of status 2 count as 1 again: those being drawn are all in it. Bytes: `status` 0 no such cell, 1 pending, " +
  "2 processing, 3 completed, 4 failed, 5 cancelled; `rating` ten times the mean, 0 unrated or hidden; `n` raters, " +
  "255 for more; `mine` one's own stars, 6 skipped, 0 none. `X-Revision` is the next `since`.";

const planeNames = planes.join("|");
const getPlanes = defineRoute({
  method: "get",
  path: "/tasks/{id}/planes",
  who: "reader",
  tags: ["cells"],
  summary: "All cells of a task, one byte a cell and plane",
  request: {
    params: taskParams,
    query: z.object({
      f: z.string().regex(
        new RegExp(`^(?:${planeNames})(?:,(?:${planeNames}))*$`),
        `wanted some of ${planes.join(", ")} by commas`,
      ).default("status,rating").openapi({
        param: { name: "f", in: "query" },
        description: "Which planes, by commas",
      }),
      since: z.string().regex(/^\d{1,15}$/, "wanted a revision").optional().openapi({
        param: { name: "since", in: "query" },
        description: "`X-Revision` of the answer that one has",
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
          description: "Of the task, as these bytes tell it",
        },
        "X-Cells": { schema: { type: "string" as const }, description: "Cells of the task" },
        "X-Delta": { schema: { type: "string" as const }, description: "`true` or `false`" },
      },
    },
  },
});

function writeWhole({ length, cells, bytes }: PlaneRows): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length * bytes.length);
  bytes.forEach((plane, p) => {
    for (let i = 0; i < cells.length; i++) whole[p * length + cells[i]!] = plane[i]!;
  });
  return whole;
}

function writeDelta({ cells, bytes }: PlaneRows): Uint8Array<ArrayBuffer> {
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
    const { hidesOthers, revision } = await getTaskOf(c, id);
    const { deps: { sql }, principal } = c.var;
    const wanted = [...new Set(f.split(","))] as Plane[];
    const read = async (since: string | undefined) => {
      const rows = await readPlanes(sql, {
        taskId: id,
        wanted,
        since,
        looker: { id: principal.id, hidesOthers },
      });
      if (!rows) throw noTask(id);
      return rows;
    };
    // One that is ahead of the task knows another database; at 0 nothing is known.
    const isKnown = since !== undefined && Number(since) > 0 && Number(since) <= Number(revision);
    const changed = isKnown ? await read(since) : undefined;
    const isDelta = changed !== undefined &&
      changed.cells.length * (4 + wanted.length) < changed.length * wanted.length;
    const rows = isDelta ? changed : await read(undefined);
    return c.body(isDelta ? writeDelta(rows) : writeWhole(rows), 200, {
      "content-type": "application/octet-stream",
      "x-revision": rows.revision,
      "x-cells": String(rows.length),
      "x-delta": String(isDelta),
    }) as never;
  });
}
