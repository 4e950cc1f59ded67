/** Routes for marks of cells: favourites, which are private to a user, and tags, which everyone sees. */
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
  listTaggedCells,
} from "../../../db/judging/marks.ts";
import { hasCell } from "../../../db/judging/ratings.ts";
import { AppError } from "../../../errors.ts";
import { invalidField } from "../kit/faults.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../kit/pages.ts";
import { cellParams, defineRoute, jsonResponse, taskParams, time } from "../kit/route.ts";
import {
  anyCellNumber,
  cellNotFound,
  getReadableTask,
  parseCellNumber,
  taskNotFound,
  viewerOf,
} from "../tasks/task_access.ts";
import { tagSchema } from "../kit/texts.ts";

const tagParam = tagSchema(100).openapi({
  param: { name: "tag", in: "path" },
  description: "One line of 1 to 100 characters without leading or trailing white space",
});
const cellTagParams = cellParams.extend({ tag: tagParam });

const favourite = z.object({ cell: z.int(), created_at: time }).openapi("Favourite");
const cellTag = z.object({
  cell: z.int(),
  tag: z.string(),
  author_id: z.uuid().openapi({ description: "First person who set the tag" }),
  author: z.string().nullable().openapi({
    description: "E-mail address; null for a share, for a deleted user, and for requests with a share",
  }),
  created_at: time,
}).openapi("CellTag");

const favouritePath = "/tasks/{id}/cells/{cell}/favourite";
const cellTagPath = "/tasks/{id}/cells/{cell}/tags/{tag}";
const done = { 204: { description: "Done; also if nothing changed" } };

const putFavourite = defineRoute({
  method: "put",
  path: favouritePath,
  access: "member",
  tags: ["marks"],
  summary: "Mark a cell as a favourite",
  request: { params: cellParams },
  responses: done,
});
const dropFavourite = defineRoute({
  method: "delete",
  path: favouritePath,
  access: "member",
  tags: ["marks"],
  summary: "Remove a cell from one's favourites",
  request: { params: cellParams },
  responses: done,
});
const getFavourites = defineRoute({
  method: "get",
  path: "/tasks/{id}/favourites",
  access: "member",
  tags: ["marks"],
  summary: "List one's own favourites in a task",
  request: { params: taskParams, query: pageQuery },
  responses: { 200: jsonResponse(pageOf(favourite).openapi("Favourites"), "By cell number") },
});

const putTag = defineRoute({
  method: "put",
  path: cellTagPath,
  access: "rater",
  tags: ["marks"],
  summary: "Tag a cell",
  request: { params: cellTagParams },
  responses: done,
  problems: ["conflict"],
});
const dropTag = defineRoute({
  method: "delete",
  path: cellTagPath,
  access: "rater",
  tags: ["marks"],
  summary: "Remove a tag from a cell; for its author, the owner of the task and admins",
  request: { params: cellTagParams },
  responses: done,
});
const getCellTags = defineRoute({
  method: "get",
  path: "/tasks/{id}/cells/{cell}/tags",
  access: "reader",
  tags: ["marks"],
  summary: "List the tags of a cell. Where others are hidden and the image is not rated yet, only one's own",
  request: { params: cellParams },
  responses: {
    200: jsonResponse(
      z.object({ items: z.array(cellTag) }).openapi("CellTags"),
      `At most ${cellTagsMax}, ordered by code points`,
    ),
  },
});
const getTags = defineRoute({
  method: "get",
  path: "/tasks/{id}/tags",
  access: "reader",
  tags: ["marks"],
  summary: "List the tags of a task with the number of cells of each",
  request: { params: taskParams, query: pageQuery },
  responses: {
    200: jsonResponse(
      pageOf(z.object({ tag: z.string(), cells: z.int() })).openapi("Tags"),
      "Ordered by code points",
    ),
  },
});
const getTagged = defineRoute({
  method: "get",
  path: "/tasks/{id}/tags/{tag}",
  access: "reader",
  tags: ["marks"],
  summary: "List the cells with a tag; an unknown tag has none",
  request: { params: taskParams.extend({ tag: tagParam }), query: pageQuery },
  responses: { 200: jsonResponse(pageOf(cellTag).openapi("Tagged"), "By cell number") },
});

/**
 * Returns the tag if the path is valid UTF-8. For other paths the router returns undecoded escapes.
 *
 * @throws AppError invalid_request
 */
function readTag(c: Context<V2Env>, tag: string): string {
  try {
    decodeURIComponent(new URL(c.req.url).pathname);
    return tag;
  } catch {
    throw invalidField("path.tag", tag, "UTF-8, percent-encoded");
  }
}

const readCellCursor = (cursor: string | undefined): number => {
  const [after] = decodeCursor(cursor, z.tuple([anyCellNumber])) ?? [-1];
  return after;
};

/** Sets or removes a favourite. */
async function markFavourite(
  c: Context<V2Env>,
  { id: taskId, cell }: { id: string; cell: string },
  mark: typeof insertFavourite,
) {
  await getReadableTask(c, taskId);
  const { deps: { sql }, principal } = c.var;
  if (!await mark(sql, { taskId, cell: parseCellNumber(cell), userId: principal.id })) {
    throw cellNotFound(cell);
  }
  return c.body(null, 204);
}

async function readFavourites(c: Context<V2Env>, id: string, { limit, cursor }: z.infer<typeof pageQuery>) {
  await getReadableTask(c, id);
  const { deps: { sql }, principal } = c.var;
  const query = { after: readCellCursor(cursor), limit: limit + 1 };
  const rows = await listFavourites(sql, { taskId: id, userId: principal.id, ...query });
  const toItem = ({ cell, created_at }: typeof rows[number]) => ({
    cell,
    created_at: created_at.toISOString(),
  });
  return toPage(rows, limit, toItem, ({ cell }) => [cell]);
}

interface TagPath {
  id: string;
  cell: string;
  tag: string;
}

async function tagCell(c: Context<V2Env>, { id: taskId, cell, tag }: TagPath) {
  await getReadableTask(c, taskId);
  const { deps: { sql }, principal } = c.var;
  const input = { taskId, cell: parseCellNumber(cell), tag: readTag(c, tag), authorId: principal.id };
  const outcome = await insertCellTag(sql, input);
  if (outcome === "no_task") throw taskNotFound(taskId);
  if (outcome === "no_cell") throw cellNotFound(cell);
  if (outcome === "too_many") {
    throw new AppError("conflict", `tagging cell ${cell}: it has ${cellTagsMax} tags, which is the most`);
  }
  return c.body(null, 204);
}

async function untagCell(c: Context<V2Env>, { id: taskId, cell, tag }: TagPath) {
  const task = await getReadableTask(c, taskId);
  const { mayChange } = task;
  const input = {
    taskId,
    cell: parseCellNumber(cell),
    tag: readTag(c, tag),
    viewer: viewerOf(c, task),
    mayChange,
  };
  const outcome = await deleteCellTag(c.var.deps.sql, input);
  if (outcome === "no_task") throw taskNotFound(taskId);
  if (outcome === "no_cell") throw cellNotFound(cell);
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

async function readCellTags(c: Context<V2Env>, { id: taskId, cell: cellText }: { id: string; cell: string }) {
  const task = await getReadableTask(c, taskId);
  const { sql } = c.var.deps;
  const cell = parseCellNumber(cellText);
  const rows = await listCellTags(sql, { taskId, cell, viewer: viewerOf(c, task) });
  if (rows.length === 0 && !await hasCell(sql, taskId, cell)) throw cellNotFound(cell);
  return { items: rows.map(toCellTag(c)) };
}

async function readTags(c: Context<V2Env>, taskId: string, { limit, cursor }: z.infer<typeof pageQuery>) {
  const task = await getReadableTask(c, taskId);
  const [after] = decodeCursor(cursor, z.tuple([tagSchema(100)])) ?? [""];
  const query = { viewer: viewerOf(c, task), after, limit: limit + 1 };
  const rows = await countTags(c.var.deps.sql, { taskId, ...query });
  return toPage(rows, limit, ({ tag, cells }) => ({ tag, cells }), ({ tag }) => [tag]);
}

async function readTagged(
  c: Context<V2Env>,
  { id: taskId, tag }: { id: string; tag: string },
  { limit, cursor }: z.infer<typeof pageQuery>,
) {
  const task = await getReadableTask(c, taskId);
  const query = { viewer: viewerOf(c, task), after: readCellCursor(cursor), limit: limit + 1 };
  const rows = await listTaggedCells(c.var.deps.sql, { taskId, tag: readTag(c, tag), ...query });
  return toPage(rows, limit, toCellTag(c), ({ cell }) => [cell]);
}

export function addMarks(app: V2App): void {
  app.openapi(putFavourite, (c) => markFavourite(c, c.req.valid("param"), insertFavourite));
  app.openapi(dropFavourite, (c) => markFavourite(c, c.req.valid("param"), deleteFavourite));
  app.openapi(
    getFavourites,
    async (c) => c.json(await readFavourites(c, c.req.valid("param").id, c.req.valid("query")), 200),
  );
  app.openapi(putTag, (c) => tagCell(c, c.req.valid("param")));
  app.openapi(dropTag, (c) => untagCell(c, c.req.valid("param")));
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
