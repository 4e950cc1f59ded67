/** Routes for ratings: 1 to 5 stars or a reason for skipping, one rating per rater and image. */
import { isUuid } from "../../../uuid.ts";
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import {
  findOwnRating,
  hasCell,
  listRatingHistory,
  type RatedCell,
  type RatingInput,
  type RatingOutcome,
  saveRatingsWithin,
} from "../../../db/judging/ratings.ts";
import { AppError } from "../../../errors.ts";
import { createRatingSaver, type SaveRating } from "./rating_saver.ts";
import { withGate } from "../kit/authorize.ts";
import type { Principal, V2App, V2Deps, V2Env } from "../kit/context.ts";
import { respondOnce } from "../kit/idempotency.ts";
import { decodeCursor, pageQuery, toPage } from "../kit/pages.ts";
import { cellParams, defineRoute, jsonBody, jsonResponse, taskParams } from "../kit/route.ts";
import { respondTagged } from "../kit/etag.ts";
import {
  accessOf,
  cellNotFound,
  getReadableTask,
  parseCellNumber,
  taskNotFound,
} from "../tasks/task_access.ts";
import { bulkIn, bulkOut, historyOut, ratingIn, ratingOut } from "./rating_shapes.ts";

const putRating = defineRoute({
  method: "put",
  path: "/tasks/{id}/cells/{cell}/rating",
  access: "rater",
  gate: "in_handler",
  tags: ["ratings"],
  summary: "Rate a cell's image, or change one's rating",
  request: { params: cellParams, body: jsonBody(ratingIn) },
  responses: { 200: jsonResponse(ratingOut, "The rating, with the new mean") },
  problems: ["conflict"],
});

const getRating = defineRoute({
  method: "get",
  path: "/tasks/{id}/cells/{cell}/rating",
  access: "reader",
  tags: ["ratings"],
  summary: "Get one's own rating of a cell's image",
  request: { params: cellParams },
  responses: { 200: jsonResponse(ratingOut, "The rating. Stars and reason are null without one") },
  problems: ["conflict"],
});

const clearRating = defineRoute({
  method: "delete",
  path: "/tasks/{id}/cells/{cell}/rating",
  access: "rater",
  gate: "in_handler",
  tags: ["ratings"],
  summary: "Delete one's rating",
  request: { params: cellParams },
  responses: { 200: jsonResponse(ratingOut, "The image's rating without one's own, now or before") },
  problems: ["conflict"],
});

const postRatings = defineRoute({
  method: "post",
  path: "/tasks/{id}/ratings",
  access: "rater",
  tags: ["ratings"],
  summary: "Rate many cells at once",
  request: { params: taskParams, body: jsonBody(bulkIn) },
  responses: { 200: jsonResponse(bulkOut, "The accepted and the refused ratings") },
  once: true,
  problems: ["conflict"],
});

const readHistory = defineRoute({
  method: "get",
  path: "/tasks/{id}/cells/{cell}/ratings",
  access: "reader",
  tags: ["ratings"],
  summary: "List the ratings of a cell's images with all changes. Where others are hidden, only one's own",
  request: { params: cellParams, query: pageQuery },
  responses: { 200: jsonResponse(historyOut, "Oldest first") },
});

type RatingBody = {
  stars?: number | undefined;
  skipped?: string | undefined;
  blind: boolean;
  took_ms?: number | undefined;
  version?: number | undefined;
};

const cleared: RatingBody = { blind: false };

function toRatingInput(
  c: Context<V2Env>,
  taskId: string,
  cell: number,
  { stars, skipped, blind, took_ms, version }: RatingBody,
): RatingInput {
  const { principal } = c.var;
  return {
    task_id: taskId,
    cell,
    rater_id: principal.id,
    stars: stars ?? null,
    skipped: skipped ?? null,
    blind: blind || principal.kind === "share" && principal.blind,
    took_ms: took_ms ?? null,
    version: version ?? null,
  };
}

type RatingOut = z.infer<typeof ratingOut>;
type Rated = Pick<RatingOut, "cell" | "version" | "stars" | "skipped">;

/** Adds the mean. In a blind task it is hidden until the rater has given stars. */
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
  { task_id, cell, stars, skipped }: RatingInput,
  outcome: RatingOutcome,
): RatingOut {
  if (outcome === "no_task") throw taskNotFound(task_id);
  if (outcome === "no_cell") throw cellNotFound(cell);
  if (outcome === "no_image") throw noImage(cell);
  if (outcome === "changed") {
    throw new AppError("conflict", `rating cell ${cell}: its image is another now`);
  }
  const { version, blind, username } = outcome;
  const owned = principal.kind === "user" && principal.email === username;
  const { hidesOthers } = accessOf(principal, { owned, blind });
  return withMean({ cell, version, stars, skipped }, outcome, hidesOthers);
}

/** Saves a rating without reading the task first: the result of the statement contains everything needed. */
async function rateCell(
  c: Context<V2Env>,
  save: SaveRating,
  { id, cell }: { id: string; cell: string },
  body: RatingBody,
) {
  if (!isUuid(id)) throw taskNotFound(id);
  const input = toRatingInput(c, id, parseCellNumber(cell), body);
  let outcome = await save(input);
  if (outcome === "no_cell") {
    // Cells of a migrated task are numbered when the task is first read.
    await withGate(c, () => getReadableTask(c, id));
    outcome = await save(input);
  }
  return toRating(c.var.principal, input, outcome);
}

async function rateMany(
  c: Context<V2Env>,
  id: string,
  ratings: z.infer<typeof bulkIn>["ratings"],
) {
  await getReadableTask(c, id);
  const inputs = ratings.map(({ cell, ...body }) => toRatingInput(c, id, cell, body));
  return await respondOnce(c, async (sql) => {
    const outcomes = await saveRatingsWithin(sql, inputs);
    const refused: z.infer<typeof bulkOut>["refused"] = [];
    const saved: RatingOut[] = [];
    for (const [index, input] of inputs.entries()) {
      const outcome = outcomes[index]!;
      if (outcome === "no_cell" || outcome === "no_image" || outcome === "changed") {
        refused.push({ index, cell: input.cell, reason: outcome });
      } else saved.push(toRating(c.var.principal, input, outcome));
    }
    return { status: 200, body: { rated: saved.length, ratings: saved, refused } };
  });
}

async function readOwnRating(c: Context<V2Env>, { id, cell: cellText }: { id: string; cell: string }) {
  const task = await getReadableTask(c, id);
  const cell = parseCellNumber(cellText);
  const { deps: { sql }, principal } = c.var;
  const row = await findOwnRating(sql, { taskId: id, cell, raterId: principal.id });
  if (!row) throw cellNotFound(cell);
  if (!row.has_image) throw noImage(cell);
  const { version, stars, skipped } = row;
  return withMean({ cell, version, stars, skipped }, row, task.hidesOthers);
}

async function readHistoryPage(
  c: Context<V2Env>,
  { id, cell }: { id: string; cell: string },
  { limit, cursor }: z.infer<typeof pageQuery>,
) {
  const { hidesOthers } = await getReadableTask(c, id);
  const { deps: { sql }, principal } = c.var;
  const [after] = decodeCursor(cursor, z.tuple([z.string().regex(/^\d{1,18}$/)])) ?? ["0"];
  const cellRef = { taskId: id, cell: parseCellNumber(cell) };
  const viewer = { id: principal.id, hidesOthers };
  const rows = await listRatingHistory(sql, { ...cellRef, viewer, after, limit: limit + 1 });
  if (rows.length === 0 && !await hasCell(sql, id, cellRef.cell)) throw cellNotFound(cell);
  const toItem = ({ id: _, at, rater, ...row }: typeof rows[number]) => ({
    ...row,
    rater: principal.kind === "user" ? rater : null,
    at: at.toISOString(),
  });
  return toPage(rows, limit, toItem, ({ id }) => [id]);
}

export function addRatings(app: V2App, { sql }: V2Deps): void {
  const save = createRatingSaver(sql);
  app.openapi(
    getRating,
    async (c) => await respondTagged(c, await readOwnRating(c, c.req.valid("param"))),
  );
  app.openapi(
    putRating,
    async (c) => c.json(await rateCell(c, save, c.req.valid("param"), c.req.valid("json")), 200),
  );
  app.openapi(clearRating, async (c) => c.json(await rateCell(c, save, c.req.valid("param"), cleared), 200));
  app.openapi(
    postRatings,
    async (c) => await rateMany(c, c.req.valid("param").id, c.req.valid("json").ratings),
  );
  app.openapi(
    readHistory,
    async (c) => c.json(await readHistoryPage(c, c.req.valid("param"), c.req.valid("query")), 200),
  );
}
