/** Favourites, which are a person's own, and tags, which all see. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import {
  type CellTagRow,
  cellTagsMax,
  countTags,
  deleteCellTag,
  deleteFavourite,
  insertCellTag,
  insertFavourite,
  listCellTags,
  listFavourites,
  listTagged,
} from "../../../db/judging/marks.ts";
import { hasCell } from "../../../db/judging/ratings.ts";
import { AppError } from "../../../errors.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { cutPage, pageOf, pageQuery, readCursor } from "../kit/pages.ts";
import { cellParams, defineRoute, jsonAnswer, taskParams, time } from "../kit/route.ts";
import { getTaskOf, noCell, noTask, readCell, type TaskOf } from "../tasks/tasks_of.ts";
import { wordOf } from "../kit/texts.ts";

const tagParam = wordOf(100).openapi({
  param: { name: "tag", in: "path" },
  description: "One line of 1 to 100 characters without white space around it",
});
const cellTagParams = cellParams.extend({ tag: tagParam });

const favourite = z.object({ cell: z.int(), created_at: time }).openapi("Favourite");
const cellTag = z.object({
  cell: z.int(),
  tag: z.string(),
  author_id: z.uuid().openapi({ description: "Who put it there first" }),
  author: z.string().nullable().openapi({
    description: "E-mail; null for a link's, for who has gone, and to who comes by a link",
  }),
  created_at: time,
}).openapi("CellTag");

const favouritePath = "/tasks/{id}/cells/{cell}/favourite";
const cellTagPath = "/tasks/{id}/cells/{cell}/tags/{tag}";
const done = { 204: { description: "So it is now, whether it was before or not" } };

const putFavourite = defineRoute({
  method: "put",
  path: favouritePath,
  who: "member",
  tags: ["marks"],
  summary: "Make a cell one's favourite",
  request: { params: cellParams },
  responses: done,
});
const dropFavourite = defineRoute({
  method: "delete",
  path: favouritePath,
  who: "member",
  tags: ["marks"],
  summary: "A favourite no more",
  request: { params: cellParams },
  responses: done,
});
const getFavourites = defineRoute({
  method: "get",
  path: "/tasks/{id}/favourites",
  who: "member",
  tags: ["marks"],
  summary: "One's own favourites in a task",
  request: { params: taskParams, query: pageQuery },
  responses: { 200: jsonAnswer(pageOf(favourite).openapi("Favourites"), "By place") },
});

const putTag = defineRoute({
  method: "put",
  path: cellTagPath,
  who: "rater",
  tags: ["marks"],
  summary: "Put a word on a cell",
  request: { params: cellTagParams },
  responses: done,
  problems: ["conflict"],
});
const dropTag = defineRoute({
  method: "delete",
  path: cellTagPath,
  who: "rater",
  tags: ["marks"],
  summary: "Take a word from a cell: who put it there, the task's owner, an admin",
  request: { params: cellTagParams },
  responses: done,
});
const getCellTags = defineRoute({
  method: "get",
  path: "/tasks/{id}/cells/{cell}/tags",
  who: "reader",
  tags: ["marks"],
  summary: "The words of a cell; where others are hidden and the image is not rated yet, one's own alone",
  request: { params: cellParams },
  responses: {
    200: jsonAnswer(
      z.object({ items: z.array(cellTag) }).openapi("CellTags"),
      `At most ${cellTagsMax}, by code points`,
    ),
  },
});
const getTags = defineRoute({
  method: "get",
  path: "/tasks/{id}/tags",
  who: "reader",
  tags: ["marks"],
  summary: "The words of a task, with how many cells have each",
  request: { params: taskParams, query: pageQuery },
  responses: {
    200: jsonAnswer(
      pageOf(z.object({ tag: z.string(), cells: z.int() })).openapi("Tags"),
      "By code points",
    ),
  },
});
const getTagged = defineRoute({
  method: "get",
  path: "/tasks/{id}/tags/{tag}",
  who: "reader",
  tags: ["marks"],
  summary: "The cells that have a word; none where nobody put it anywhere",
  request: { params: taskParams.extend({ tag: tagParam }), query: pageQuery },
  responses: { 200: jsonAnswer(pageOf(cellTag).openapi("Tagged"), "By place") },
});

/** @throws AppError invalid_request for a path that is no UTF-8: the router would take its escapes for the word */
function readTag(c: Context<V2Env>, tag: string): string {
  try {
    decodeURIComponent(new URL(c.req.url).pathname);
    return tag;
  } catch {
    throw new AppError("invalid_request", "reading the request: faulty path.tag", {
      fields: [{ field: "path.tag", value: tag, wanted: "UTF-8, percent-encoded" }],
    });
  }
}

const lookerOf = (c: Context<V2Env>, { hidesOthers }: TaskOf) => ({ id: c.var.principal.id, hidesOthers });
const readCellCursor = (cursor: string | undefined): number => {
  const [after] = readCursor(cursor, z.tuple([z.int().min(0).max(99_999)])) ?? [-1];
  return after;
};

async function markFavourite(
  c: Context<V2Env>,
  { id: taskId, cell }: { id: string; cell: string },
  mark: typeof insertFavourite,
) {
  await getTaskOf(c, taskId);
  const { deps: { sql }, principal } = c.var;
  if (!await mark(sql, { taskId, cell: readCell(cell), userId: principal.id })) throw noCell(cell);
  return c.body(null, 204);
}

async function readFavourites(c: Context<V2Env>, id: string, { limit, cursor }: z.infer<typeof pageQuery>) {
  await getTaskOf(c, id);
  const { deps: { sql }, principal } = c.var;
  const order = { after: readCellCursor(cursor), limit: limit + 1 };
  const rows = await listFavourites(sql, { taskId: id, userId: principal.id, ...order });
  const toItem = ({ cell, created_at }: typeof rows[number]) => ({
    cell,
    created_at: created_at.toISOString(),
  });
  return cutPage(rows, limit, toItem, ({ cell }) => [cell]);
}

interface TagPath {
  id: string;
  cell: string;
  tag: string;
}

async function addTag(c: Context<V2Env>, { id: taskId, cell, tag }: TagPath) {
  await getTaskOf(c, taskId);
  const { deps: { sql }, principal } = c.var;
  const wish = { taskId, cell: readCell(cell), tag: readTag(c, tag), authorId: principal.id };
  const outcome = await insertCellTag(sql, wish);
  if (outcome === "no_task") throw noTask(taskId);
  if (outcome === "no_cell") throw noCell(cell);
  if (outcome === "too_many") {
    throw new AppError("conflict", `tagging cell ${cell}: it has ${cellTagsMax} tags, which is the most`);
  }
  return c.body(null, 204);
}

async function removeTag(c: Context<V2Env>, { id: taskId, cell, tag }: TagPath) {
  const task = await getTaskOf(c, taskId);
  const { mayChange } = task;
  const wish = { taskId, cell: readCell(cell), tag: readTag(c, tag), looker: lookerOf(c, task), mayChange };
  const outcome = await deleteCellTag(c.var.deps.sql, wish);
  if (outcome === "no_task") throw noTask(taskId);
  if (outcome === "no_cell") throw noCell(cell);
  if (outcome === "not_theirs") {
    throw new AppError(
      "forbidden",
      `taking tag '${tag}' from cell ${cell}: somebody else put it there, and the task is not yours`,
    );
  }
  return c.body(null, 204);
}

const toCellTag = (c: Context<V2Env>) => ({ created_at, author, ...row }: CellTagRow) => ({
  ...row,
  author: c.var.principal.kind === "user" ? author : null,
  created_at: created_at.toISOString(),
});

async function readCellTags(c: Context<V2Env>, { id: taskId, cell: place }: { id: string; cell: string }) {
  const task = await getTaskOf(c, taskId);
  const { sql } = c.var.deps;
  const cell = readCell(place);
  const rows = await listCellTags(sql, { taskId, cell, looker: lookerOf(c, task) });
  if (rows.length === 0 && !await hasCell(sql, taskId, cell)) throw noCell(cell);
  return { items: rows.map(toCellTag(c)) };
}

async function readTags(c: Context<V2Env>, taskId: string, { limit, cursor }: z.infer<typeof pageQuery>) {
  const task = await getTaskOf(c, taskId);
  const [after] = readCursor(cursor, z.tuple([wordOf(100)])) ?? [""];
  const order = { looker: lookerOf(c, task), after, limit: limit + 1 };
  const rows = await countTags(c.var.deps.sql, { taskId, ...order });
  return cutPage(rows, limit, ({ tag, cells }) => ({ tag, cells }), ({ tag }) => [tag]);
}

async function readTagged(
  c: Context<V2Env>,
  { id: taskId, tag }: { id: string; tag: string },
  { limit, cursor }: z.infer<typeof pageQuery>,
) {
  const task = await getTaskOf(c, taskId);
  const order = { looker: lookerOf(c, task), after: readCellCursor(cursor), limit: limit + 1 };
  const rows = await listTagged(c.var.deps.sql, { taskId, tag: readTag(c, tag), ...order });
  return cutPage(rows, limit, toCellTag(c), ({ cell }) => [cell]);
}

export function addMarks(app: V2App): void {
  app.openapi(putFavourite, (c) => markFavourite(c, c.req.valid("param"), insertFavourite));
  app.openapi(dropFavourite, (c) => markFavourite(c, c.req.valid("param"), deleteFavourite));
  app.openapi(
    getFavourites,
    async (c) => c.json(await readFavourites(c, c.req.valid("param").id, c.req.valid("query")), 200),
  );
  app.openapi(putTag, (c) => addTag(c, c.req.valid("param")));
  app.openapi(dropTag, (c) => removeTag(c, c.req.valid("param")));
  app.openapi(getCellTags, async (c) => c.json(await readCellTags(c, c.req.valid("param")), 200));
  app.openapi(
    getTags,
    async (c) => c.json(await readTags(c, c.req.valid("param").id, c.req.valid("query")), 200),
  );
  app.openapi(
    getTagged,
    async (c) => c.json(await readTagged(c, c.req.valid("param"), c.req.valid("query")), 200),
  );
}
