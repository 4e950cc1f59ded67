/** What to rate next. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Sql } from "../../../db/pg/connect.ts";
import {
  type Candidate,
  type Given,
  listCandidates,
  listUnrated,
  reserveCells,
  withIndexes,
} from "../../../db/judging/rating_queue.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { orderCandidates, strategies, type Strategy } from "./rating_order.ts";
import { defineRoute, jsonAnswer, taskParams, time } from "../kit/route.ts";
import { type Layout, loadLayout } from "../tasks/layout.ts";
import { getTaskOf } from "../tasks/tasks_of.ts";

/** `?blind=true`: a link that is blind, is so whatever it says. */
export const blindQuery = z.enum(["true", "false"]).default("false").openapi({
  param: { name: "blind", in: "query" },
  description: "Leave out what tells the images apart: places on the axes, prompts, ratio",
});

/** An image to look at; what a blind rater may not see is left out. */
export const imageOut = z.object({
  cell: z.int(),
  version: z.int().openapi({ description: "The attempt that made the image" }),
  image_url: z.string(),
  at: z.record(z.string(), z.int()).optional().openapi({
    description: "Place of its value on each axis, v0 to v5",
    example: { v0: 2, v1: 0 },
  }),
  prompts: z.any().optional(),
  ratio: z.string().nullable().optional(),
}).openapi("ImageToJudge");

const next = defineRoute({
  method: "get",
  path: "/tasks/{id}/queue/next",
  who: "rater",
  tags: ["ratings"],
  summary: "What to rate next: images that one has neither rated nor skipped",
  request: {
    params: taskParams,
    query: z.object({
      n: z.coerce.number().int().min(1).max(50).default(1)
        .openapi({ param: { name: "n", in: "query" }, type: "integer" }),
      strategy: z.enum(strategies).default("spread").openapi({
        param: { name: "strategy", in: "query" },
        description:
          "spread: levels of the axes that one has rated least; fewest: images with the fewest ratings; " +
          "decide: images whose mean or order is least certain",
      }),
      blind: blindQuery,
    }),
  },
  responses: {
    200: jsonAnswer(
      z.object({
        items: z.array(imageOut.extend({
          until: time.openapi({ description: "Others are given other images until then" }),
        })),
      }).openapi("RatingQueue"),
      "The best first; none where all that is drawn is rated",
    ),
  },
});

/** Images looked at for a choice; a task of no more cells is looked at whole. */
const sampleMax = 500;

/** `count` of the numbers below `total`, by lot, each once. */
export function drawPlaces(total: number, count: number): number[] {
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

/** Images by lot; where few of them are left to be rated, also the first left ones from some place on. */
async function drawSample(
  sql: Sql,
  total: number,
  asked: { taskId: string; raterId: string; squares: boolean },
  count: number,
): Promise<Candidate[]> {
  const sample = await listCandidates(sql, asked, drawPlaces(total, sampleMax));
  const isOpen = ({ rated, reserved }: Candidate) => !rated && !reserved;
  if (total <= sampleMax || sample.filter(isOpen).length >= count) return sample;
  const start = Math.floor(Math.random() * total);
  const limit = 4 * count;
  const found = await listUnrated(sql, asked, { from: start, to: total - 1, limit });
  if (found.filter(isOpen).length < count) {
    found.push(...await listUnrated(sql, asked, { from: 0, to: start - 1, limit }));
  }
  const known = new Set(sample.map(({ cell }) => cell));
  return [...sample, ...found.filter(({ cell }) => !known.has(cell))];
}

async function giveNext(
  c: Context<V2Env>,
  taskId: string,
  layout: Layout,
  { n, strategy }: { n: number; strategy: Strategy },
): Promise<Given[]> {
  const { deps: { sql }, principal: { id: raterId } } = c.var;
  // Some more than are wanted: others may be given the first ones at this moment.
  const count = 4 * n + 16;
  const { cells, levelsOf } = layout;
  return await withIndexes(sql, async (sql) => {
    const sample = await drawSample(sql, cells, { taskId, raterId, squares: strategy === "decide" }, count);
    const ids = orderCandidates(sample, { strategy, levelsOf, count }).map(({ id }) => id);
    return ids.length === 0 ? [] : await reserveCells(sql, { taskId, raterId, ids, count: n });
  });
}

/** An image as a rater is shown it. */
export function toImage(
  { cell, version, image_url, prompts, ratio }: Omit<Given, "until">,
  { atOf }: Layout,
  blind: boolean,
) {
  return { cell, version, image_url, ...(blind ? {} : { at: atOf(cell), prompts, ratio }) };
}

/** A link that is blind, is so whatever is asked. */
export const isBlind = ({ principal }: V2Env["Variables"], asked: "true" | "false"): boolean =>
  asked === "true" || principal.kind === "share" && principal.blind;

export function addRatingQueue(app: V2App): void {
  app.openapi(next, async (c) => {
    const { id } = c.req.valid("param");
    const { n, strategy, blind } = c.req.valid("query");
    await getTaskOf(c, id);
    const layout = await loadLayout(c, id);
    const given = await giveNext(c, id, layout, { n, strategy });
    const items = given.map(({ until, ...image }) => ({
      ...toImage(image, layout, isBlind(c.var, blind)),
      until: until.toISOString(),
    }));
    c.header("cache-control", "no-store");
    return c.json({ items }, 200);
  });
}
