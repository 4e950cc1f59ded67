/** Rating: 1 to 5 stars or a reason to skip, one rating a rater and image. */
import { isUuid } from "../../../uuid.ts";
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import {
  findOwnRating,
  hasCell,
  listRatingHistory,
  type RatedCell,
  type RatingOutcome,
  type RatingWish,
  saveRatings,
} from "../../../db/judging/ratings.ts";
import { AppError } from "../../../errors.ts";
import { createBatcher } from "../../../batch.ts";
import { withRoom } from "../kit/admit.ts";
import type { Principal, V2App, V2Env } from "../kit/context.ts";
import { cutPage, pageOf, pageQuery, readCursor } from "../kit/pages.ts";
import { cellParams, defineRoute, jsonAnswer, jsonBody, taskParams, time } from "../kit/route.ts";
import { answerTagged } from "../kit/tag.ts";
import { getTaskOf, noCell, noTask, readCell, readRights } from "../tasks/tasks_of.ts";
import { textOf } from "../kit/texts.ts";

const said = {
  stars: z.int().min(1).max(5).optional().openapi({ description: "1 bad to 5 good; or `skipped`" }),
  skipped: textOf(500).optional().openapi({ description: "Why it is not rated; or `stars`" }),
  blind: z.boolean().default(false).openapi({ description: "Neither axes nor others' ratings were shown" }),
  took_ms: z.int().min(0).max(86_400_000).optional(),
};
const eitherOr = ({ stars, skipped }: { stars?: number | undefined; skipped?: string | undefined }) =>
  (stars === undefined) !== (skipped === undefined);
const wantedOne = { message: "wanted either stars or skipped", path: ["stars"] };

const ratingIn = z.strictObject(said).refine(eitherOr, wantedOne).openapi("RatingIn");

/** Ratings of a call at most. */
const bulkMax = 1000;
const bulkIn = z.strictObject({
  ratings: z.array(z.strictObject({ cell: z.int().min(0).max(49_999), ...said }).refine(eitherOr, wantedOne))
    .min(1).max(bulkMax),
}).openapi("RatingsIn");

const ratingOut = z.object({
  cell: z.int(),
  version: z.int().openapi({ description: "The attempt that made the image that was rated" }),
  stars: z.int().nullable(),
  skipped: z.string().nullable(),
  mean: z.number().nullable().openapi({ description: "Of all raters; null while others are hidden" }),
  n: z.int().nullable(),
}).openapi("Rating");

const putRating = defineRoute({
  method: "put",
  path: "/tasks/{id}/cells/{cell}/rating",
  who: "rater",
  room: "own",
  tags: ["ratings"],
  summary: "Rate a cell's image; again changes it",
  request: { params: cellParams, body: jsonBody(ratingIn) },
  responses: { 200: jsonAnswer(ratingOut, "The rating, with the new mean") },
  problems: ["conflict"],
});

const getRating = defineRoute({
  method: "get",
  path: "/tasks/{id}/cells/{cell}/rating",
  who: "reader",
  tags: ["ratings"],
  summary: "One's own rating of a cell's image",
  request: { params: cellParams },
  responses: { 200: jsonAnswer(ratingOut, "The rating; without stars and reason where there is none") },
  problems: ["conflict"],
});

const clearRating = defineRoute({
  method: "delete",
  path: "/tasks/{id}/cells/{cell}/rating",
  who: "rater",
  room: "own",
  tags: ["ratings"],
  summary: "Take one's rating back",
  request: { params: cellParams },
  responses: { 200: jsonAnswer(ratingOut, "Without the rating; the same where there was none") },
  problems: ["conflict"],
});

const bulkOut = z.object({
  rated: z.int(),
  ratings: z.array(ratingOut),
  refused: z.array(z.object({ cell: z.int(), reason: z.enum(["no_cell", "no_image"]) })),
}).openapi("Ratings");

const postRatings = defineRoute({
  method: "post",
  path: "/tasks/{id}/ratings",
  who: "rater",
  tags: ["ratings"],
  summary: "Rate many cells at once",
  request: { params: taskParams, body: jsonBody(bulkIn) },
  responses: { 200: jsonAnswer(bulkOut, "What was rated, and what could not be") },
});

const historyOut = pageOf(z.object({
  version: z.int(),
  rater_id: z.uuid(),
  rater: z.string().nullable().openapi({
    description: "E-mail; null for a link's, for who has gone, and to who comes by a link",
  }),
  action: z.enum(["rated", "changed", "cleared"]),
  stars: z.int().nullable(),
  skipped: z.string().nullable(),
  at: time,
})).openapi("RatingHistory");

const readHistory = defineRoute({
  method: "get",
  path: "/tasks/{id}/cells/{cell}/ratings",
  who: "reader",
  tags: ["ratings"],
  summary:
    "Who rated the cell's images, with every change; of images where others are hidden, one's own alone",
  request: { params: cellParams, query: pageQuery },
  responses: { 200: jsonAnswer(historyOut, "Oldest first") },
});

type Said = {
  stars?: number | undefined;
  skipped?: string | undefined;
  blind: boolean;
  took_ms?: number | undefined;
};

const cleared: Said = { blind: false };

function toWish(
  c: Context<V2Env>,
  taskId: string,
  cell: number,
  { stars, skipped, blind, took_ms }: Said,
): RatingWish {
  const { principal } = c.var;
  return {
    task_id: taskId,
    cell,
    rater_id: principal.id,
    stars: stars ?? null,
    skipped: skipped ?? null,
    blind: blind || principal.kind === "share" && principal.blind,
    took_ms: took_ms ?? null,
  };
}

type RatingOut = z.infer<typeof ratingOut>;
type Rated = Pick<RatingOut, "cell" | "version" | "stars" | "skipped">;

/** Others' part is told only to who has given the image stars, where the task is blind. */
function withMean(
  rated: Rated,
  { rating_n: n, rating_sum: sum }: Pick<RatedCell, "rating_n" | "rating_sum">,
  hidesOthers: boolean,
): RatingOut {
  const shown = !hidesOthers || rated.stars !== null;
  return { ...rated, mean: shown && n > 0 ? sum / n : null, n: shown ? n : null };
}

const noImage = (cell: number) => new AppError("conflict", `rating cell ${cell}: it has no image now`);

function toRating(
  principal: Principal,
  { task_id, cell, stars, skipped }: RatingWish,
  outcome: RatingOutcome,
): RatingOut {
  if (outcome === "no_task") throw noTask(task_id);
  if (outcome === "no_cell") throw noCell(cell);
  if (outcome === "no_image") throw noImage(cell);
  const { version, blind, username } = outcome;
  const owned = principal.kind === "user" && principal.email === username;
  const { hidesOthers } = readRights(principal, { owned, blind });
  return withMean({ cell, version, stars, skipped }, outcome, hidesOthers);
}

/** Ratings that come close together are written together: each task's row is locked once for all of them. */
interface Desk {
  rate(wish: RatingWish): Promise<RatingOutcome>;
  waiting: number;
}
const desks = new WeakMap<object, Desk>();
/** Ratings that wait to be written at most; they hold no room at the database, one connection writes them all. */
const waitingMax = 1000;

/** @throws AppError busy */
async function rate({ deps }: V2Env["Variables"], wish: RatingWish): Promise<RatingOutcome> {
  const desk = desks.get(deps) ??
    { rate: createBatcher((wishes: RatingWish[]) => saveRatings(deps.sql, wishes)), waiting: 0 };
  desks.set(deps, desk);
  if (desk.waiting >= waitingMax) throw new AppError("busy", `rating: ${waitingMax} ratings wait already`);
  desk.waiting++;
  try {
    return await desk.rate(wish);
  } finally {
    desk.waiting--;
  }
}

/** Asks nothing of the task before the one transaction that rates: it says all there is to be known. */
async function rateOne(c: Context<V2Env>, { id, cell }: { id: string; cell: string }, what: Said) {
  if (!isUuid(id)) throw noTask(id);
  const wish = toWish(c, id, readCell(cell), what);
  let outcome = await rate(c.var, wish);
  if (outcome === "no_cell") {
    // Cells of a task that was brought over get their places with the first look at it.
    await withRoom(c, () => getTaskOf(c, id));
    outcome = await rate(c.var, wish);
  }
  return toRating(c.var.principal, wish, outcome);
}

async function readOwn(c: Context<V2Env>, { id, cell: place }: { id: string; cell: string }) {
  const task = await getTaskOf(c, id);
  const cell = readCell(place);
  const { deps: { sql }, principal } = c.var;
  const row = await findOwnRating(sql, { taskId: id, cell, raterId: principal.id });
  if (!row) throw noCell(cell);
  if (!row.has_image) throw noImage(cell);
  const { version, stars, skipped } = row;
  return withMean({ cell, version, stars, skipped }, row, task.hidesOthers);
}

async function readHistoryPage(
  c: Context<V2Env>,
  { id, cell }: { id: string; cell: string },
  { limit, cursor }: z.infer<typeof pageQuery>,
) {
  const { hidesOthers } = await getTaskOf(c, id);
  const { deps: { sql }, principal } = c.var;
  const [after] = readCursor(cursor, z.tuple([z.string().regex(/^\d{1,18}$/)])) ?? ["0"];
  const place = { taskId: id, cell: readCell(cell) };
  const looker = { id: principal.id, hidesOthers };
  const rows = await listRatingHistory(sql, { ...place, looker, after, limit: limit + 1 });
  if (rows.length === 0 && !await hasCell(sql, id, place.cell)) throw noCell(cell);
  const toItem = ({ id: _, at, rater, ...row }: typeof rows[number]) => ({
    ...row,
    rater: principal.kind === "user" ? rater : null,
    at: at.toISOString(),
  });
  return cutPage(rows, limit, toItem, ({ id }) => [id]);
}

export function addRatings(app: V2App): void {
  app.openapi(getRating, async (c) => await answerTagged(c, await readOwn(c, c.req.valid("param"))) as never);
  app.openapi(
    putRating,
    async (c) => c.json(await rateOne(c, c.req.valid("param"), c.req.valid("json")), 200),
  );
  app.openapi(clearRating, async (c) => c.json(await rateOne(c, c.req.valid("param"), cleared), 200));
  app.openapi(postRatings, async (c) => {
    const { id } = c.req.valid("param");
    await getTaskOf(c, id);
    const wishes = c.req.valid("json").ratings.map(({ cell, ...what }) => toWish(c, id, cell, what));
    const outcomes = await saveRatings(c.var.deps.sql, wishes);
    const refused = wishes.flatMap(({ cell }, i) => {
      const outcome = outcomes[i]!;
      return outcome === "no_cell" || outcome === "no_image" ? [{ cell, reason: outcome }] : [];
    });
    const ratings = wishes.flatMap((wish, i) =>
      typeof outcomes[i] === "string" ? [] : [toRating(c.var.principal, wish, outcomes[i]!)]
    );
    return c.json({ rated: ratings.length, ratings, refused }, 200);
  });
  app.openapi(
    readHistory,
    async (c) => c.json(await readHistoryPage(c, c.req.valid("param"), c.req.valid("query")), 200),
  );
}
