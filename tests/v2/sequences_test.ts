/** Random sequences of actions on a task through the generated client, compared with a model. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { createV2Client, type V2Client } from "../../dev/client.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { addPeople } from "./support/api.ts";

/** The expected state of a task. */
interface Model {
  id: string;
  cells: number;
  drawn: number;
  state: "open" | "paused" | "cancelled" | "deleted";
  /** Stars by cell and rater. */
  stars: Map<number, Map<number, number>>;
}

interface Fixture {
  api: TestApi;
  clients: V2Client[];
}

type Step = {
  action: "rate" | "clear" | "draw" | "pause" | "resume" | "cancel" | "delete";
  cell: number;
  stars: number;
  /** Index of the client. */
  by: number;
};

const step: fc.Arbitrary<Step> = fc.record({
  action: fc.oneof(
    { weight: 6, arbitrary: fc.constant("rate" as const) },
    { weight: 2, arbitrary: fc.constant("clear" as const) },
    { weight: 3, arbitrary: fc.constant("draw" as const) },
    {
      weight: 1,
      arbitrary: fc.constantFrom("pause" as const, "resume" as const, "cancel" as const, "delete" as const),
    },
  ),
  cell: fc.nat(6),
  stars: fc.integer({ min: 1, max: 5 }),
  by: fc.nat(1),
});

async function create({ clients: [owner] }: Fixture): Promise<Model> {
  const { data, response } = await owner!.POST("/api/v2/tasks", {
    body: {
      name: "a sequence",
      tags: [{ type: "prompt", isVariable: true, name: "prompt" }],
      variables: { v0: { name: "prompt", values: ["a", "b", "c", "d", "e", "f"] } },
      settings: {},
    },
  });
  assert.equal(response.status, 201);
  return { id: data!.id, cells: 6, drawn: 0, state: "open", stars: new Map() };
}

/** Completes the next cell of an open task, as a worker does. */
async function draw({ api: { database: { sql } } }: Fixture, model: Model): Promise<void> {
  if (model.state !== "open" || model.drawn >= model.cells - 1) return;
  await sql`
    update subtasks set status = 'completed', completed_at = now(), attempt = 1, image_url = 'https://images.example/x'
    where parent_task_id = ${model.id} and cell = ${model.drawn}`;
  await sql`
    update tasks set subtasks_completed = subtasks_completed + 1, status = 'processing', revision = revision + 1
    where id = ${model.id}`;
  model.drawn++;
}

async function rate({ clients }: Fixture, model: Model, { action, cell, stars, by }: Step): Promise<void> {
  const params = { path: { id: model.id, cell: String(cell) } };
  const path = "/api/v2/tasks/{id}/cells/{cell}/rating";
  const { response, data } = action === "rate"
    ? await clients[by]!.PUT(path, { params, body: { stars, blind: false } })
    : await clients[by]!.DELETE(path, { params });
  if (model.state === "deleted" || cell >= model.cells) return assert.equal(response.status, 404);
  if (cell >= model.drawn) return assert.equal(response.status, 409);
  assert.equal(response.status, 200);
  const ratings = model.stars.get(cell) ?? new Map<number, number>();
  if (action === "rate") ratings.set(by, stars);
  else ratings.delete(by);
  model.stars.set(cell, ratings);
  const all = [...ratings.values()];
  assert.equal(data!.n, all.length);
  assert.equal(data!.mean, all.length === 0 ? null : all.reduce((sum, stars) => sum + stars, 0) / all.length);
}

const controlPaths = {
  pause: "/api/v2/tasks/{id}/pause",
  resume: "/api/v2/tasks/{id}/resume",
  cancel: "/api/v2/tasks/{id}/cancel",
} as const;

async function control(
  { clients: [owner, other] }: Fixture,
  model: Model,
  action: Step["action"],
): Promise<void> {
  const params = { path: { id: model.id } };
  const isDeleted = model.state === "deleted";
  if (action === "delete") {
    assert.equal(
      (await other!.DELETE("/api/v2/tasks/{id}", { params })).response.status,
      isDeleted ? 404 : 403,
    );
    const { status } = (await owner!.DELETE("/api/v2/tasks/{id}", { params })).response;
    assert.ok(status < 300 || isDeleted && status === 404, `deleted: ${status}`);
    model.state = "deleted";
    return;
  }
  const { response } = await owner!.POST(controlPaths[action as keyof typeof controlPaths], { params });
  if (isDeleted) return assert.equal(response.status, 404);
  if (model.state === "cancelled") {
    return assert.ok(
      response.status === 200 || response.status === 409,
      `${action} after the end: ${response.status}`,
    );
  }
  assert.equal(response.status, 200, action);
  model.state = action === "pause" ? "paused" : action === "resume" ? "open" : "cancelled";
}

/** Reads the task and compares it with the model. */
async function checkTask({ clients: [owner] }: Fixture, model: Model): Promise<void> {
  const { data, response } = await owner!.GET("/api/v2/tasks/{id}", { params: { path: { id: model.id } } });
  if (model.state === "deleted") return assert.equal(response.status, 404);
  assert.equal(response.status, 200);
  const { cells, status, hold } = data!;
  assert.deepEqual([cells.total, cells.completed], [model.cells, model.drawn]);
  assert.equal(cells.cancelled, model.state === "cancelled" ? model.cells - model.drawn : 0);
  assert.equal(status === "cancelled", model.state === "cancelled");
  assert.equal(hold, model.state === "paused" ? "pause" : null);
}

Deno.test("the API reports the result of any sequence of create, draw, rate, pause, cancel and delete", async () => {
  await using api = await startApi({ level: "error", env: { RATE_LIMIT: "1000000" } });
  const people = await addPeople(api);
  const clients = [people.user, people.other].map(({ access }) => createV2Client(api.origin, access));
  const fixture = { api, clients };
  const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
    const model = await create(fixture);
    for (const next of steps) {
      if (next.action === "rate" || next.action === "clear") await rate(fixture, model, next);
      else if (next.action === "draw") await draw(fixture, model);
      else await control(fixture, model, next.action);
      await checkTask(fixture, model);
    }
  });
  await fc.assert(property, { numRuns: 40 });
  assert.deepEqual(api.lines, []);
});
