/** Levels of an axis by their ratings, their votes and what could not be drawn. */
import assert from "node:assert/strict";
import { startApi, type TestApi } from "./support/api.ts";
import { addMatrix, addPeople, call } from "./support/v2.ts";

/** Rates all images of a task at once: what `stars` says of a cell, if anything. */
export async function rateAll(
  { database: { sql } }: Pick<TestApi, "database">,
  task: string,
  rater: string,
  stars: (cell: number) => number | null,
): Promise<void> {
  const cells = await sql<{ id: string; cell: number; attempt: number }[]>`
    select id, cell, attempt from subtasks where parent_task_id = ${task} and status = 'completed'`;
  const rated = cells.filter(({ cell }) => stars(cell) !== null);
  await sql`
    insert into ratings (task_id, subtask_id, version, rater_id, stars)
    select ${task}, id, version, ${rater}, stars
    from unnest(${rated.map(({ id }) => id)}::uuid[], ${rated.map(({ attempt }) => attempt)}::int[],
      ${rated.map(({ cell }) => stars(cell))}::int[]) as r (id, version, stars)`;
}

/** Ends cells of a task without an image. */
async function fail({ database: { sql } }: TestApi, task: string, cells: number[], error: string) {
  await sql`
    update subtasks set status = 'failed', image_url = null, result = null, error = ${error}
    where parent_task_id = ${task} and cell = any(${cells})`;
}

Deno.test("means of raters, then images, then units: numbers as worked out by hand", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 8, ratios: 2 });
  // Level 0 has 1 or 3 by turns; level 1 one more, and in the first unit a second rater who gives 4.
  await rateAll(api, task, user.id, (cell) => 1 + 2 * (Math.floor(cell / 2) % 2) + cell % 2);
  await rateAll(api, task, other.id, (cell) => cell === 1 ? 4 : null);
  const { status, body, text } = await call(
    api,
    user,
    "GET",
    `/tasks/${task}/stats?axis=v1&measure=mean,top2`,
  );
  assert.equal(status, 200, text);
  const [base, level] = body.levels;
  assert.deepEqual(base.n, { raters: 1, ratings: 8, images: 8, units: 8 });
  assert.deepEqual(level.n, { raters: 2, ratings: 9, images: 8, units: 8 });
  assert.equal(base.mean.value, 2);
  // 3 in the first unit, 2 in three of them, 4 in four.
  assert.equal(level.mean.value, (3 + 2 * 3 + 4 * 4) / 8);
  assert.deepEqual(level.distribution, [0, 3.5 / 8, 0, 4.5 / 8, 0]);
  assert.equal(level.top2.value, 4.5 / 8);
  assert.equal(level.against.difference.value, 9 / 8);
  assert.equal(level.against.p_sign_flip, 2 / 2 ** 8);
  assert.ok(
    level.against.p < 1e-4 && level.against.p_holm === level.against.p && level.against.q === level.against.p,
  );
  assert.equal(level.against.better, (7 * 1 + 1) / 8);
  assert.equal(base.best + level.best, 1);
  assert.ok(level.best > 0.99);
  assert.deepEqual(body.unit, { basis: "content", axes: ["v0"], units: 8 });
  assert.deepEqual(body.warnings.map(({ code }: { code: string }) => code), [
    "seeds_confounded",
    "unbalanced",
  ]);
  assert.match(body.method, /Raters are averaged in an image/);
  assert.deepEqual([base.level, base.label, level.label], [0, "1:1", "2:1"]);
});
