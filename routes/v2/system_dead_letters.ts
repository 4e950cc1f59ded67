/** Dead letters for operators: the cells that failed for good, their causes, and drawing them again. */
import { z } from "@hono/zod-openapi";
import { countCauses, type DeadLetterFilter, listDeadLetters } from "../../db/queue/attempts.ts";
import { taskStatuses } from "../../db/queue/task_fields.ts";
import { replayCells, replayDeadLetters } from "../../jobs/moves/dead_letters.ts";
import type { V2App } from "./kit/context.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "./kit/pages.ts";
import { timeIn } from "./kit/query.ts";
import { defineRoute, jsonBody, jsonResponse, time } from "./kit/route.ts";
import { textSchema } from "./kit/texts.ts";
import { anyCellNumber } from "./tasks/task_access.ts";

const tags: ["system"] = ["system"];
const cellsMax = 1_000;

const filterFields = {
  task: z.uuid().optional().openapi({ description: "Restrict to this task" }),
  cause: textSchema(500).optional().openapi({
    description: "Restrict to causes that contain this text, case-insensitive",
  }),
  since: timeIn.optional().openapi({ description: "Restrict to cells that failed at or after this time" }),
};
const filterQuery = z.object(filterFields);
type Filter = z.infer<typeof filterQuery>;

const letterOut = z.object({
  task_id: z.uuid(),
  task_name: z.string(),
  task_status: z.enum(taskStatuses).openapi({ description: "Cells of a cancelled task stay as they are" }),
  id: z.uuid(),
  cell: z.int().nullable().openapi({ description: "Number in the matrix; null for some imported cells" }),
  cause: z.string().openapi({ description: "`error` without ids, addresses and attempt numbers" }),
  error: z.string().nullable(),
  attempt: z.int(),
  failed_at: time,
}).openapi("DeadLetter");

const readLetters = defineRoute({
  method: "get",
  path: "/system/dead-letters",
  access: "staff",
  tags,
  summary: "List the cells that failed for good",
  request: { query: pageQuery.extend(filterFields) },
  responses: { 200: jsonResponse(pageOf(letterOut).openapi("DeadLetters"), "Newest first") },
});

const causesOut = z.object({
  items: z.array(z.object({ cause: z.string(), cells: z.int() })),
}).openapi("DeadLetterCauses");

const readCauses = defineRoute({
  method: "get",
  path: "/system/dead-letters/causes",
  access: "staff",
  tags,
  summary: "Count the cells that failed for good by cause",
  request: { query: filterQuery },
  responses: { 200: jsonResponse(causesOut, "Most frequent first, at most 100") },
});

const replayIn = z.strictObject({
  ...filterFields,
  cells: z.array(z.strictObject({ task: z.uuid(), cell: anyCellNumber })).min(1).max(cellsMax).optional()
    .openapi({ description: "Restrict to these cells" }),
  all: z.literal(true).optional().openapi({ description: "Wanted where nothing restricts" }),
}).refine((body) => Object.values(body).some((value) => value !== undefined), {
  message: "cells, task, cause or since; or all",
}).openapi("ReplayIn", {
  anyOf: ["cells", "task", "cause", "since", "all"].map((name) => ({ required: [name] })),
});

const postReplay = defineRoute({
  method: "post",
  path: "/system/dead-letters/replay",
  access: "staff",
  changesDocuments: true,
  tags,
  summary: "Draw cells again that failed for good",
  description:
    "Those that match all that the body restricts to, over all tasks. Cells of cancelled and deleted tasks stay as " +
    "they are. A repeated call changes nothing more.",
  request: { body: jsonBody(replayIn) },
  responses: {
    200: jsonResponse(
      z.object({
        tasks: z.int(),
        cells: z.int(),
        held: z.int().openapi({ description: "Tasks among them that are held: their cells wait" }),
      }).openapi("Replayed"),
      "What is pending again",
    ),
  },
});

const toFilter = ({ task, cause, since }: Filter): DeadLetterFilter => ({
  ...(task === undefined ? {} : { taskId: task }),
  ...(cause === undefined ? {} : { cause }),
  ...(since === undefined ? {} : { since: new Date(since) }),
});

export function addDeadLetters(app: V2App): void {
  app.openapi(readLetters, async (c) => {
    const { limit, cursor, ...filter } = c.req.valid("query");
    const after = decodeCursor(cursor, z.tuple([z.iso.datetime(), z.uuid()]));
    const rows = await listDeadLetters(c.var.deps.sql, toFilter(filter), { limit: limit + 1, after });
    const page = toPage(
      rows,
      limit,
      ({ failed_at, ...row }) => ({
        ...row,
        task_status: row.task_status as z.infer<typeof letterOut>["task_status"],
        failed_at: failed_at.toISOString(),
      }),
      (row) => [row.failed_at.toISOString(), row.id],
    );
    return c.json(page, 200);
  });
  app.openapi(readCauses, async (c) => {
    const items = await countCauses(c.var.deps.sql, toFilter(c.req.valid("query")));
    return c.json({ items }, 200);
  });
  app.openapi(postReplay, async (c) => {
    const { cells, all: _, ...rest } = c.req.valid("json");
    const filter = toFilter(rest);
    const replay = cells
      ? await replayCells(c.var.deps, cells.map(({ task, cell }) => ({ taskId: task, cell })), filter)
      : await replayDeadLetters(c.var.deps, filter);
    return c.json(replay, 200);
  });
}
