/** What a task would be, before it is made. */
import { z } from "@hono/zod-openapi";
import { planTask } from "../../../jobs/moves/plan.ts";
import type { V2App } from "../kit/context.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../kit/route.ts";
import { asBody, planIn, readOrder } from "./task_body.ts";

const planOut = z.object({
  cells: z.number().openapi({ description: "May pass what can be made: then there is a warning" }),
  duplicates: z.int().openapi({
    description: "Cells that ask for an image that another cell of the task asks for",
  }),
  reusable: z.int().openapi({
    description: "Cells for which there is an image already; seeds that are yet to be drawn match none",
  }),
  queues: z.array(z.object({
    queue: z.enum(["high", "standard", "lumina"]),
    cells: z.int(),
    backlog: z.int().openapi({ description: "Cells of other tasks that wait there; 20,000 for more" }),
    slots: z.int().nullable().openapi({ description: "Images drawn at once, now" }),
    observed: z.int().openapi({ description: "Images that the estimate rests on" }),
  })),
  seconds: z.object({ p50: z.int(), p90: z.int() }).nullable().openapi({
    description:
      "Until the last image. `p50`: at the slots reached of late. `p90`: what waits goes first, at the slots " +
      "of now. Null where nothing was observed",
  }),
  warnings: z.array(z.object({
    code: z.string().openapi({ example: "seeds_confounded" }),
    message: z.string(),
    axes: z.array(z.string()),
  })).openapi({ description: "The gravest first" }),
}).openapi("TaskPlan");

const postPlan = defineRoute({
  method: "post",
  path: "/tasks/plan",
  who: "member",
  tags: ["tasks"],
  summary: "Say what POST /tasks would make of this body; nothing is written",
  request: { body: jsonBody(planIn) },
  responses: { 200: jsonAnswer(planOut, "The plan") },
});

export function addPlan(app: V2App): void {
  app.openapi(postPlan, async (c) => {
    const { seedRule, priority = 1, ...order } = await readOrder(c, c.req.valid("json"));
    const plan = await asBody(() =>
      planTask(c.var.deps, { ...order, priority, seedRule: seedRule ?? { policy: "shared", roles: {} } })
    );
    return c.json(plan, 200);
  });
}
