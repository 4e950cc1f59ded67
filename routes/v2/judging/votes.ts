/** Routes for votes: which of two images is better. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import {
  countVotes,
  deleteLastVote,
  insertVote,
  listImages,
  listVotes,
  outcomes,
  readDrawnCells,
  type VoteRefusal,
  type VoteRow,
} from "../../../db/judging/votes.ts";
import { AppError } from "../../../errors.ts";
import { invalidField } from "../kit/faults.ts";
import type { Principal, V2App, V2Env } from "../kit/context.ts";
import type { Layout, Layouts } from "../tasks/layout.ts";
import { respondOnce } from "../kit/idempotency.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../kit/pages.ts";
import { choosePairs, orderPairs, type Pair } from "./pair_choice.ts";
import { tookMs, versionNumber } from "./rating_shapes.ts";
import { blindQuery, imageOut, isBlind, toImage } from "./rating_queue.ts";
import { integerQuery } from "../kit/query.ts";
import { defineRoute, jsonBody, jsonResponse, taskParams, time } from "../kit/route.ts";
import { wantedAxis } from "../tasks/axis_faults.ts";
import { anyCellNumber, cellNotFound, getReadableTask, taskNotFound } from "../tasks/task_access.ts";

const tags: ["votes"] = ["votes"];

const next = defineRoute({
  method: "get",
  path: "/tasks/{id}/pairs/next",
  access: "rater",
  tags,
  summary: "Get the next pairs to compare: images that differ on one axis, pairs with few votes first",
  request: {
    params: taskParams,
    query: z.object({
      axis: z.enum(["v0", "v1", "v2", "v3", "v4", "v5"]).optional().openapi({
        param: { name: "axis", in: "query" },
        description:
          "Axis of the task with several values, on which they differ. By default the first treatment axis with several values, otherwise the " +
          "first axis with several values",
      }),
      n: integerQuery("n", { min: 1, max: 20, absent: 1, description: "Maximum number of pairs" }),
      blind: blindQuery,
    }),
  },
  responses: {
    200: jsonResponse(
      z.object({
        axis: z.string().nullable().openapi({ description: "Null if no axis has several values" }),
        items: z.array(z.object({ left: imageOut, right: imageOut })),
      }).openapi("Pairs"),
      "Pairs with randomly chosen sides; empty if one has judged every pair",
    ),
  },
});

const imageVersion = z.strictObject({
  cell: anyCellNumber,
  version: versionNumber,
});
const voteIn = z.strictObject({
  left: imageVersion,
  right: imageVersion.openapi({ description: "Its `cell` is another one than that of `left`" }),
  outcome: z.enum(outcomes).openapi({ description: "Which image is better; `skip` if undecidable" }),
  blind: z.boolean().default(false).openapi({ description: "Whether the axes were hidden" }),
  took_ms: tookMs,
}).refine(({ left, right }) => left.cell !== right.cell, {
  message: "another cell than the left one",
  path: ["right", "cell"],
})
  .openapi("VoteIn");

const voteOut = z.object({
  id: z.string().openapi({ pattern: "^[0-9]+$" }),
  left: imageVersion,
  right: imageVersion,
  outcome: z.enum(outcomes),
  rater_id: z.uuid(),
  rater: z.string().nullable().openapi({
    description: "E-mail address; null for a share, for a deleted user, and for requests with a share",
  }),
  blind: z.boolean(),
  took_ms: z.int().nullable(),
  created_at: time,
}).openapi("Vote");

const post = defineRoute({
  method: "post",
  path: "/tasks/{id}/votes",
  access: "rater",
  tags,
  summary: "Vote for one of two images",
  request: { params: taskParams, body: jsonBody(voteIn) },
  responses: { 201: jsonResponse(voteOut, "The vote") },
  once: true,
  problems: ["conflict"],
});

const list = defineRoute({
  method: "get",
  path: "/tasks/{id}/votes",
  access: "reader",
  tags,
  summary: "List votes: all for the owner of the task and admins, one's own for others",
  request: { params: taskParams, query: pageQuery },
  responses: { 200: jsonResponse(pageOf(voteOut).openapi("Votes"), "Oldest first") },
});

/** Id of a vote in a path. */
const voteIdPattern = /^[1-9][0-9]{0,17}$/;

const withdraw = defineRoute({
  method: "delete",
  path: "/tasks/{id}/votes/{vote}",
  access: "rater",
  tags,
  summary: "Withdraw one's last vote",
  request: {
    params: taskParams.extend({
      vote: z.string().openapi({ param: { name: "vote", in: "path" }, pattern: voteIdPattern.source }),
    }),
  },
  responses: { 204: { description: "Withdrawn" } },
  problems: ["conflict"],
});

/** Finds the axis to compare on and returns its position; undefined if no axis has several values. */
function findAxis({ axes }: Layout, requested: string | undefined): number | undefined {
  const varying = axes.flatMap(({ levels }, i) => levels.length > 1 ? [i] : []);
  if (requested === undefined) return varying.find((i) => axes[i]!.role === "treatment") ?? varying[0];
  const found = varying.find((i) => axes[i]!.key === requested);
  if (found !== undefined) return found;
  const wanted = axes.length > 0 && varying.length === 0
    ? "to be left out: no axis of this task has several values"
    : wantedAxis(varying.map((i) => axes[i]!.key));
  throw invalidField("query.axis", requested, wanted);
}

/** Unpacks cell numbers of four bytes each. */
function unpackCells(packed: Uint8Array): number[] {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  return Array.from({ length: packed.byteLength / 4 }, (_, i) => view.getUint32(4 * i));
}

/** Chooses pairs and reads their images. */
async function choosePairImages(
  c: Context<V2Env>,
  taskId: string,
  layout: Layout,
  axis: number,
  n: number,
) {
  const { deps: { sql }, principal: { id: raterId } } = c.var;
  const drawn = unpackCells(await readDrawnCells(sql, taskId));
  const pairs = choosePairs(drawn, layout.levelsOf, axis);
  const counts = await countVotes(sql, { taskId, raterId, cells: [...new Set(pairs.flat())] });
  const chosen = orderPairs(pairs, counts, layout.levelsOf).slice(0, n);
  const images = new Map(
    (await listImages(sql, taskId, chosen.flat())).map((image) => [image.cell, image]),
  );
  return chosen.flatMap(([a, b]: Pair) => {
    const [left, right] = Math.random() < 0.5 ? [a, b] : [b, a];
    const leftImage = images.get(left);
    const rightImage = images.get(right);
    // An image that was just replaced is missing.
    return leftImage && rightImage ? [{ left: leftImage, right: rightImage }] : [];
  });
}

const toVote = ({ kind }: Principal) =>
(
  { left_cell, left_version, right_cell, right_version, created_at, rater, ...row }: VoteRow,
) => ({
  ...row,
  rater: kind === "user" ? rater : null,
  left: { cell: left_cell, version: left_version },
  right: { cell: right_cell, version: right_version },
  created_at: created_at.toISOString(),
});

/** Returns the error for a vote that was refused. */
function toError(taskId: string, refusal: VoteRefusal): AppError {
  switch (refusal.refused) {
    case "no_task":
      return taskNotFound(taskId);
    case "no_cell":
      return cellNotFound(refusal.cell);
    case "changed":
      return new AppError("conflict", `voting: the image of cell ${refusal.cell} is another now, or none`);
    default:
      return new AppError("conflict", "voting: the pair is judged; take the vote back where it was the last");
  }
}

async function createVote(c: Context<V2Env>, taskId: string, input: z.infer<typeof voteIn>) {
  await getReadableTask(c, taskId);
  const { principal } = c.var;
  return await respondOnce(c, async (sql) => {
    const id = await insertVote(sql, {
      taskId,
      left: input.left,
      right: input.right,
      outcome: input.outcome,
      raterId: principal.id,
      blind: isBlind(c.var, input.blind ? "true" : "false"),
      took_ms: input.took_ms ?? null,
    });
    if (typeof id !== "string") throw toError(taskId, id);
    const [row] = await listVotes(sql, { taskId, raterId: principal.id, id, after: "0", limit: 1 });
    return { status: 201, body: toVote(principal)(row!) };
  });
}

async function readVotesPage(
  c: Context<V2Env>,
  taskId: string,
  { limit, cursor }: z.infer<typeof pageQuery>,
) {
  const { mayChange } = await getReadableTask(c, taskId);
  const { deps: { sql }, principal } = c.var;
  const [after] = decodeCursor(cursor, z.tuple([z.string().regex(/^\d{1,18}$/)])) ?? ["0"];
  const raterId = mayChange ? null : principal.id;
  const rows = await listVotes(sql, { taskId, raterId, after, limit: limit + 1 });
  return toPage(rows, limit, toVote(principal), ({ id }) => [id]);
}

async function withdrawVote(c: Context<V2Env>, { id: taskId, vote }: { id: string; vote: string }) {
  const { mayChange } = await getReadableTask(c, taskId);
  const { deps: { sql }, principal } = c.var;
  const voteNotFound = () => new AppError("not_found", `no vote '${vote.slice(0, 100)}' in this task`);
  if (!voteIdPattern.test(vote)) throw voteNotFound();
  const outcome = await sql.begin((tx) => deleteLastVote(tx, { taskId, raterId: principal.id, id: vote }));
  if (outcome === "no_task") throw taskNotFound(taskId);
  if (outcome === "not_theirs" && mayChange) {
    throw new AppError("forbidden", `taking vote '${vote}' back: somebody else gave it`);
  }
  if (outcome === "no_vote" || outcome === "not_theirs") throw voteNotFound();
  if (outcome === "not_last") {
    throw new AppError("conflict", `taking vote '${vote}' back: only one's last can be`);
  }
}

export function addVotes(app: V2App, { layouts }: { layouts: Layouts }): void {
  app.openapi(next, async (c) => {
    const { id } = c.req.valid("param");
    const { axis: requestedAxis, n, blind } = c.req.valid("query");
    await getReadableTask(c, id);
    const layout = await layouts.load(id);
    const axis = findAxis(layout, requestedAxis);
    c.header("cache-control", "no-store");
    if (axis === undefined) return c.json({ axis: null, items: [] }, 200);
    const blindImages = isBlind(c.var, blind);
    const items = (await choosePairImages(c, id, layout, axis, n)).map(({ left, right }) => ({
      left: toImage(left, layout, blindImages),
      right: toImage(right, layout, blindImages),
    }));
    return c.json({ axis: layout.axes[axis]!.key, items }, 200);
  });
  app.openapi(
    post,
    async (c) => await createVote(c, c.req.valid("param").id, c.req.valid("json")),
  );
  app.openapi(
    list,
    async (c) => c.json(await readVotesPage(c, c.req.valid("param").id, c.req.valid("query")), 200),
  );
  app.openapi(withdraw, async (c) => {
    await withdrawVote(c, c.req.valid("param"));
    return c.body(null, 204);
  });
}
