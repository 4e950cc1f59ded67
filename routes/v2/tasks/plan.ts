/** POST /tasks/plan: what a task would consist of, without creating it. */
import { z } from "@hono/zod-openapi";
import { planTask } from "../../../jobs/moves/plan.ts";
import type { V2App } from "../kit/context.ts";
import { defineRoute, jsonBody, jsonResponse } from "../kit/route.ts";
import { parseTaskInput, planIn, withBodyFieldNames } from "./task_body.ts";

const planOut = z.object({
  cells: z.number().openapi({ description: "Number of cells. If it exceeds the limit, there is a warning" }),
  duplicates: z.int().openapi({
    description: "Cells that request the same image as another cell of the task",
  }),
  reusable: z.int().openapi({
    description: "Cells whose image exists already. Seeds that are not drawn yet match no image",
  }),
  queues: z.array(z.object({
    queue: z.enum(["high", "standard", "lumina"]),
    cells: z.int(),
    backlog: z.int().openapi({
      description: "Cells of other tasks waiting in the queue; 20,000 stands for more",
    }),
    slots: z.int().nullable().openapi({ description: "Current number of images drawn at once" }),
    observed: z.int().openapi({ description: "Number of images that the estimate is based on" }),
  })),
  seconds: z.object({ p50: z.int(), p90: z.int() }).nullable().openapi({
    description:
      "Time until the last image. `p50` assumes the recently reached number of slots. `p90` assumes the current " +
      "number, and that waiting cells of other tasks are drawn first. Null without observations",
  }),
  warnings: z.array(z.object({
    code: z.string().openapi({ example: "seeds_confounded" }),
    message: z.string(),
    axes: z.array(z.string()),
  })).openapi({ description: "Most severe first" }),
}).openapi("TaskPlan");

const postPlan = defineRoute({
  method: "post",
  path: "/tasks/plan",
  access: "member",
  tags: ["tasks"],
  summary: "Compute what POST /tasks would create from this body. Nothing is stored",
  request: { body: jsonBody(planIn) },
  responses: { 200: jsonResponse(planOut, "The plan") },
});

export function addPlan(app: V2App): void {
  app.openapi(postPlan, async (c) => {
    const { seedRule, priority = 1, ...input } = await parseTaskInput(c, c.req.valid("json"));
    const plan = await withBodyFieldNames(() =>
      planTask(c.var.deps, { ...input, priority, seedRule: seedRule ?? { policy: "shared", roles: {} } })
    );
    return c.json(plan, 200);
  });
}
