/** Comparing: two images, and which is better. */
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
import type { Principal, V2App, V2Env } from "../kit/context.ts";
import { type Layout, loadLayout } from "../tasks/layout.ts";
import { answerOnce } from "../kit/once.ts";
import { cutPage, pageOf, pageQuery, readCursor } from "../kit/pages.ts";
import { choosePairs, orderPairs, type Pair } from "./pair_choice.ts";
import { blindQuery, imageOut, isBlind, toImage } from "./rating_queue.ts";
import { defineRoute, jsonAnswer, jsonBody, taskParams, time } from "../kit/route.ts";
import { getTaskOf, noCell, noTask } from "../tasks/tasks_of.ts";

const tags: ["votes"] = ["votes"];

const next = defineRoute({
  method: "get",
  path: "/tasks/{id}/pairs/next",
  who: "rater",
  tags,
  summary: "What to compare next: images that differ on one axis, pairs with few votes first",
  request: {
    params: taskParams,
    query: z.object({
      axis: z.enum(["v0", "v1", "v2", "v3", "v4", "v5"]).optional().openapi({
        param: { name: "axis", in: "query" },
        description: "On which they differ; else the first axis that is a treatment, or has several values",
      }),
      n: z.coerce.number().int().min(1).max(20).default(1)
        .openapi({ param: { name: "n", in: "query" }, type: "integer" }),
      blind: blindQuery,
    }),
  },
  responses: {
    200: jsonAnswer(
      z.object({
        axis: z.string().nullable().openapi({ description: "Null where no axis has several values" }),
        items: z.array(z.object({ left: imageOut, right: imageOut })),
      }).openapi("Pairs"),
      "Sides by lot; none where one has judged every pair",
    ),
  },
});

const imageName = z.strictObject({
  cell: z.int().min(0).max(49_999),
  version: z.int().min(0).max(2_147_483_647),
});
const voteIn = z.strictObject({
  left: imageName,
  right: imageName,
  outcome: z.enum(outcomes).openapi({ description: "Which is better; `skip` where it can't be said" }),
  blind: z.boolean().default(false).openapi({ description: "The axes were not shown" }),
  took_ms: z.int().min(0).max(86_400_000).optional(),
}).refine(({ left, right }) => left.cell !== right.cell, {
  message: "wanted two cells",
  path: ["right", "cell"],
})
  .openapi("VoteIn");

const voteOut = z.object({
  id: z.string().openapi({ pattern: "^[0-9]+$" }),
  left: imageName,
  right: imageName,
  outcome: z.enum(outcomes),
  rater_id: z.uuid(),
  rater: z.string().nullable().openapi({
    description: "E-mail; null for a link's, for who has gone, and to who comes by a link",
  }),
  blind: z.boolean(),
  took_ms: z.int().nullable(),
  created_at: time,
}).openapi("Vote");

const post = defineRoute({
  method: "post",
  path: "/tasks/{id}/votes",
  who: "rater",
  tags,
  summary: "Say which of two images is better",
  request: { params: taskParams, body: jsonBody(voteIn) },
  responses: { 201: jsonAnswer(voteOut, "The vote") },
  problems: ["conflict"],
});

const list = defineRoute({
  method: "get",
  path: "/tasks/{id}/votes",
  who: "reader",
  tags,
  summary: "Votes: all of them to the task's owner and admins, one's own to others",
  request: { params: taskParams, query: pageQuery },
  responses: { 200: jsonAnswer(pageOf(voteOut).openapi("Votes"), "Oldest first") },
});

const takeBack = defineRoute({
  method: "delete",
  path: "/tasks/{id}/votes/{vote}",
  who: "rater",
  tags,
  summary: "Take one's last vote back",
  request: {
    params: taskParams.extend({
      vote: z.string().openapi({ param: { name: "vote", in: "path" }, pattern: "^[0-9]+$" }),
    }),
  },
  responses: { 204: { description: "Taken back" } },
  problems: ["conflict"],
});

/** The axis to compare on: its place, undefined where none has several values. */
function findAxis({ axes }: Layout, wanted: string | undefined): number | undefined {
  const varies = axes.flatMap(({ levels }, i) => levels.length > 1 ? [i] : []);
  if (wanted === undefined) return varies.find((i) => axes[i]!.role === "treatment") ?? varies[0];
  const found = varies.find((i) => axes[i]!.key === wanted);
  if (found !== undefined) return found;
  const names = varies.map((i) => axes[i]!.key).join(", ");
  throw new AppError("invalid_request", "reading the request: faulty query.axis", {
    fields: [{
      field: "query.axis",
      value: wanted,
      wanted: names === "" ? "no axis: none of this task has several values" : `one of ${names}`,
    }],
  });
}

function unpack(packed: Uint8Array): number[] {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  return Array.from({ length: packed.byteLength / 4 }, (_, i) => view.getUint32(4 * i));
}

async function findPairs(c: Context<V2Env>, taskId: string, layout: Layout, axis: number, n: number) {
  const { deps: { sql }, principal: { id: raterId } } = c.var;
  const drawn = unpack(await readDrawnCells(sql, taskId));
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
    // One was drawn again at this moment.
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

function refusal(taskId: string, why: VoteRefusal): AppError {
  switch (why.refused) {
    case "no_task":
      return noTask(taskId);
    case "no_cell":
      return noCell(why.cell);
    case "changed":
      return new AppError("conflict", `voting: the image of cell ${why.cell} is another now, or none`);
    default:
      return new AppError("conflict", "voting: the pair is judged; take the vote back where it was the last");
  }
}

async function vote(c: Context<V2Env>, taskId: string, given: z.infer<typeof voteIn>) {
  await getTaskOf(c, taskId);
  const { principal } = c.var;
  return await answerOnce(c, async (sql) => {
    const id = await insertVote(sql, {
      taskId,
      left: given.left,
      right: given.right,
      outcome: given.outcome,
      raterId: principal.id,
      blind: isBlind(c.var, given.blind ? "true" : "false"),
      took_ms: given.took_ms ?? null,
    });
    if (typeof id !== "string") throw refusal(taskId, id);
    const [row] = await listVotes(sql, { taskId, raterId: principal.id, id, after: "0", limit: 1 });
    return { status: 201, body: toVote(principal)(row!) };
  });
}

async function readVotesPage(
  c: Context<V2Env>,
  taskId: string,
  { limit, cursor }: z.infer<typeof pageQuery>,
) {
  const { mayChange } = await getTaskOf(c, taskId);
  const { deps: { sql }, principal } = c.var;
  const [after] = readCursor(cursor, z.tuple([z.string().regex(/^\d{1,18}$/)])) ?? ["0"];
  const raterId = mayChange ? null : principal.id;
  const rows = await listVotes(sql, { taskId, raterId, after, limit: limit + 1 });
  return cutPage(rows, limit, toVote(principal), ({ id }) => [id]);
}

async function takeVoteBack(c: Context<V2Env>, { id: taskId, vote }: { id: string; vote: string }) {
  const { mayChange } = await getTaskOf(c, taskId);
  const { deps: { sql }, principal } = c.var;
  const noVote = () => new AppError("not_found", `no vote '${vote.slice(0, 100)}' in this task`);
  if (!/^[1-9]\d{0,17}$/.test(vote)) throw noVote();
  const outcome = await sql.begin((tx) => deleteLastVote(tx, { taskId, raterId: principal.id, id: vote }));
  if (outcome === "no_task") throw noTask(taskId);
  if (outcome === "not_theirs" && mayChange) {
    throw new AppError("forbidden", `taking vote '${vote}' back: somebody else gave it`);
  }
  if (outcome === "no_vote" || outcome === "not_theirs") throw noVote();
  if (outcome === "not_last") {
    throw new AppError("conflict", `taking vote '${vote}' back: only one's last can be`);
  }
}

export function addVotes(app: V2App): void {
  app.openapi(next, async (c) => {
    const { id } = c.req.valid("param");
    const { axis: wanted, n, blind } = c.req.valid("query");
    await getTaskOf(c, id);
    const layout = await loadLayout(c, id);
    const axis = findAxis(layout, wanted);
    c.header("cache-control", "no-store");
    if (axis === undefined) return c.json({ axis: null, items: [] }, 200);
    const hidden = isBlind(c.var, blind);
    const items = (await findPairs(c, id, layout, axis, n)).map(({ left, right }) => ({
      left: toImage(left, layout, hidden),
      right: toImage(right, layout, hidden),
    }));
    return c.json({ axis: layout.axes[axis]!.key, items }, 200);
  });
  app.openapi(
    post,
    async (c) => await vote(c, c.req.valid("param").id, c.req.valid("json")) as never,
  );
  app.openapi(
    list,
    async (c) => c.json(await readVotesPage(c, c.req.valid("param").id, c.req.valid("query")), 200),
  );
  app.openapi(takeBack, async (c) => {
    await takeVoteBack(c, c.req.valid("param"));
    return c.body(null, 204);
  });
}
