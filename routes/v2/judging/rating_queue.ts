/** GET /tasks/{id}/queue/next: the images that a rater should rate next. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Sql } from "../../../db/pg/connect.ts";
import {
  type Candidate,
  listCandidates,
  listUnrated,
  reserveCells,
  type ReservedImage,
  withIndexScans,
} from "../../../db/judging/rating_queue.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { orderCandidates, strategies, type Strategy } from "./rating_order.ts";
import { integerQuery } from "../kit/query.ts";
import { defineRoute, jsonResponse, taskParams, time } from "../kit/route.ts";
import type { Layout, Layouts } from "../tasks/layout.ts";
import { getReadableTask } from "../tasks/task_access.ts";

/** `?blind=true`. A blind share is always blind. */
export const blindQuery = z.enum(["true", "false"]).default("false").openapi({
  param: { name: "blind", in: "query" },
  description: "Leave out what distinguishes the images: indices on the axes, prompts and ratio",
});

/** An image to judge. A blind rater receives no optional fields. */
export const imageOut = z.object({
  cell: z.int(),
  version: z.int().openapi({ description: "Number of the attempt that made the image" }),
  image_url: z.string(),
  at: z.record(z.string(), z.int()).optional().openapi({
    description: "Index of the cell's value on each axis, v0 to v5",
    example: { v0: 2, v1: 0 },
  }),
  prompts: z.any().optional(),
  ratio: z.string().nullable().optional(),
}).openapi("ImageToJudge");

const next = defineRoute({
  method: "get",
  path: "/tasks/{id}/queue/next",
  access: "rater",
  tags: ["ratings"],
  summary: "Get the next images to rate: those that one has neither rated nor skipped",
  request: {
    params: taskParams,
    query: z.object({
      n: integerQuery("n", { min: 1, max: 50, absent: 1, description: "Maximum number of images" }),
      strategy: z.enum(strategies).default("spread").openapi({
        param: { name: "strategy", in: "query" },
        description:
          "spread: images whose axis levels one has rated least; fewest: images with the fewest ratings; " +
          "decide: images whose mean or rank is most uncertain",
      }),
      blind: blindQuery,
    }),
  },
  responses: {
    200: jsonResponse(
      z.object({
        items: z.array(imageOut.extend({
          until: time.openapi({ description: "The image is reserved for the rater until then" }),
        })),
      }).openapi("RatingQueue"),
      "Most useful first; empty if all drawn images are rated",
    ),
  },
});

/** Maximum size of the sample. Smaller tasks are considered completely. */
const sampleMax = 500;

/** Draws `count` different numbers below `total` at random. */
export function drawNumbers(total: number, count: number): number[] {
  if (total <= count) {
    const all = Array.from({ length: total }, (_, i) => i);
    for (let i = total - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1));
      [all[i], all[j]] = [all[j]!, all[i]!];
    }
    return all;
  }
  const drawn = new Set<number>();
  while (drawn.size < count) drawn.add(Math.floor(Math.random() * total));
  return [...drawn];
}

/** Draws a random sample. If it has few unrated images, adds the next unrated ones after a random cell. */
async function drawSample(
  sql: Sql,
  total: number,
  query: { taskId: string; raterId: string; squares: boolean },
  count: number,
): Promise<Candidate[]> {
  const sample = await listCandidates(sql, query, drawNumbers(total, sampleMax));
  const isOpen = ({ rated, reserved }: Candidate) => !rated && !reserved;
  if (total <= sampleMax || sample.filter(isOpen).length >= count) return sample;
  const start = Math.floor(Math.random() * total);
  const limit = 4 * count;
  const found = await listUnrated(sql, query, { from: start, to: total - 1, limit });
  if (found.filter(isOpen).length < count) {
    found.push(...await listUnrated(sql, query, { from: 0, to: start - 1, limit }));
  }
  const known = new Set(sample.map(({ cell }) => cell));
  return [...sample, ...found.filter(({ cell }) => !known.has(cell))];
}

/** Chooses images and reserves them for the rater. */
async function assignNext(
  c: Context<V2Env>,
  taskId: string,
  layout: Layout,
  { n, strategy }: { n: number; strategy: Strategy },
): Promise<ReservedImage[]> {
  const { deps: { sql }, principal: { id: raterId } } = c.var;
  // More candidates than requested, because other raters may reserve the first ones concurrently.
  const count = 4 * n + 16;
  const { cells, levelsOf } = layout;
  return await withIndexScans(sql, async (sql) => {
    const sample = await drawSample(sql, cells, { taskId, raterId, squares: strategy === "decide" }, count);
    const ids = orderCandidates(sample, { strategy, levelsOf, count }).map(({ id }) => id);
    return ids.length === 0 ? [] : await reserveCells(sql, { taskId, raterId, ids, count: n });
  });
}

/** Returns an image as the rater receives it. */
export function toImage(
  { cell, version, image_url, prompts, ratio }: Omit<ReservedImage, "until">,
  { indicesOf }: Layout,
  blind: boolean,
) {
  return { cell, version, image_url, ...(blind ? {} : { at: indicesOf(cell), prompts, ratio }) };
}

/** Reports whether a request is blind. A blind share always is. */
export const isBlind = ({ principal }: V2Env["Variables"], requested: "true" | "false"): boolean =>
  requested === "true" || principal.kind === "share" && principal.blind;

export function addRatingQueue(app: V2App, { layouts }: { layouts: Layouts }): void {
  app.openapi(next, async (c) => {
    const { id } = c.req.valid("param");
    const { n, strategy, blind } = c.req.valid("query");
    await getReadableTask(c, id);
    const layout = await layouts.load(id);
    const assigned = await assignNext(c, id, layout, { n, strategy });
    const items = assigned.map(({ until, ...image }) => ({
      ...toImage(image, layout, isBlind(c.var, blind)),
      until: until.toISOString(),
    }));
    c.header("cache-control", "no-store");
    return c.json({ items }, 200);
  });
}
