/** Property: after any sequence of ratings the totals of a cell match the ratings of its image. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { type RatedCell, type RatingInput, saveRatings } from "../../../db/judging/ratings.ts";
import { createDatabase } from "../../support/database.ts";
import { addMatrix } from "../support/api.ts";
import { redraw, rerun } from "../support/images.ts";

const raters = [0, 1, 2].map((n) => `00000000-0000-4000-8000-00000000000${n}`);

const rating = fc.record({
  cell: fc.integer({ min: 0, max: 2 }),
  rater: fc.integer({ min: 0, max: 2 }),
  stars: fc.option(fc.integer({ min: 1, max: 5 }), { freq: 3 }),
  skips: fc.boolean(),
});
type Rating = typeof rating extends fc.Arbitrary<infer T> ? T : never;
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("one call" as const),
      ratings: fc.array(rating, { minLength: 1, maxLength: 8 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("concurrent" as const),
      ratings: fc.array(rating, { minLength: 2, maxLength: 6 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("rerun" as const), cell: fc.integer({ min: 0, max: 2 }) }),
  },
);

Deno.test("after any sequence of ratings each cell holds the totals of its image's ratings", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  const [row] = await sql<{ id: string }[]>`
    insert into users (email, hashed_password) values ('user@example.com', 'x') returning id`;
  const owner = { id: row!.id, email: "user@example.com", legacyId: "", token: "" };
  const toInput = (task: string, { cell, rater, stars, skips }: Rating): RatingInput => ({
    task_id: task,
    cell,
    rater_id: raters[rater]!,
    stars,
    blind: false,
    took_ms: null,
    skipped: stars === null && skips ? "no" : null,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
      const task = await addMatrix({ database }, owner, { prompts: 3, ratios: 1 });
      const expected = [0, 1, 2].map(() => new Map<number, number | null>());
      for (const step of steps) {
        if (step.kind === "rerun") {
          await rerun({ database }, owner, task, step.cell);
          await redraw({ database }, task);
          expected[step.cell]!.clear();
        } else if (step.kind === "concurrent") {
          await Promise.all(step.ratings.map((one) => saveRatings(sql, [toInput(task, one)])));
          // The order of concurrent ratings is known only to the database.
          for (const map of expected) map.clear();
          for (
            const { cell, rater_id, stars } of await sql`
              select s.cell, r.rater_id, r.stars
              from ratings r join subtasks s on s.parent_task_id = r.task_id and s.id = r.subtask_id and s.attempt = r.version
              where r.task_id = ${task}`
          ) expected[cell]!.set(raters.indexOf(rater_id), stars);
        } else {
          const outcomes = await saveRatings(sql, step.ratings.map((one) => toInput(task, one)));
          step.ratings.forEach(({ cell, rater, stars, skips }, i) => {
            if (stars === null && !skips) expected[cell]!.delete(rater);
            else expected[cell]!.set(rater, stars);
            const all = [...expected[cell]!.values()].filter((given) => given !== null);
            const { rating_n, rating_sum } = outcomes[i] as RatedCell;
            assert.deepEqual([rating_n, rating_sum], [
              all.length,
              all.reduce((sum, given) => sum + given, 0),
            ]);
          });
        }
      }
      const wrong = await sql`
        select s.cell, s.rating, s.rating_n, s.rating_sum, a.n, a.sum
        from subtasks s
        cross join lateral (
          select count(stars)::int as n, coalesce(sum(stars), 0)::int as sum, round(avg(stars))::int as mean
          from ratings r where r.task_id = s.parent_task_id and r.subtask_id = s.id and r.version = s.attempt
        ) a
        where s.parent_task_id = ${task}
          and (s.rating_n, s.rating_sum, s.rating) is distinct from (a.n, a.sum, a.mean::smallint)`;
      assert.deepEqual([...wrong], []);
      await checkHistory(task);
    }),
    { numRuns: 25 },
  );

  /** Asserts that each rater's last entry in the history equals the row in `ratings`, for every version. */
  async function checkHistory(task: string): Promise<void> {
    const wrong = await sql`
      select h.*, r.stars as stored
      from (
        select distinct on (subtask_id, version, rater_id) *
        from rating_history
        where task_id = ${task}
        order by subtask_id, version, rater_id, id desc
      ) h
      full join (select * from ratings where task_id = ${task}) r using (subtask_id, version, rater_id)
      where (h.action = 'cleared') is distinct from (r.task_id is null)
        or (h.stars, h.skipped) is distinct from (r.stars, r.skipped)`;
    assert.deepEqual([...wrong], []);
  }
});
