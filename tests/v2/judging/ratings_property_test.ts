/** Rating, any sequence of it: what a cell shows is the sum of what is said of its image. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { type RatedCell, type RatingWish, saveRatings } from "../../../db/judging/ratings.ts";
import { createDatabase } from "../../support/database.ts";
import { addMatrix } from "../support/api.ts";
import { redraw, rerun } from "../support/images.ts";

const raters = [0, 1, 2].map((n) => `00000000-0000-4000-8000-00000000000${n}`);

const wish = fc.record({
  cell: fc.integer({ min: 0, max: 2 }),
  rater: fc.integer({ min: 0, max: 2 }),
  stars: fc.option(fc.integer({ min: 1, max: 5 }), { freq: 3 }),
  skips: fc.boolean(),
});
type Wish = typeof wish extends fc.Arbitrary<infer T> ? T : never;
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("together" as const),
      wishes: fc.array(wish, { minLength: 1, maxLength: 8 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("at once" as const),
      wishes: fc.array(wish, { minLength: 2, maxLength: 6 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("rerun" as const), cell: fc.integer({ min: 0, max: 2 }) }),
  },
);

Deno.test("any sequence of wishes leaves in each cell what its image's ratings add up to", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  const [row] = await sql<{ id: string }[]>`
    insert into users (email, hashed_password) values ('user@example.com', 'x') returning id`;
  const owner = { id: row!.id, email: "user@example.com", legacyId: "", token: "" };
  const toWish = (task: string, { cell, rater, stars, skips }: Wish): RatingWish => ({
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
      const said = [0, 1, 2].map(() => new Map<number, number | null>());
      for (const step of steps) {
        if (step.kind === "rerun") {
          await rerun({ database }, owner, task, step.cell);
          await redraw({ database }, task);
          said[step.cell]!.clear();
        } else if (step.kind === "at once") {
          await Promise.all(step.wishes.map((one) => saveRatings(sql, [toWish(task, one)])));
          // Which came last is the database's to say.
          for (const map of said) map.clear();
          for (
            const { cell, rater_id, stars } of await sql`
              select s.cell, r.rater_id, r.stars
              from ratings r join subtasks s on s.parent_task_id = r.task_id and s.id = r.subtask_id and s.attempt = r.version
              where r.task_id = ${task}`
          ) said[cell]!.set(raters.indexOf(rater_id), stars);
        } else {
          const outcomes = await saveRatings(sql, step.wishes.map((one) => toWish(task, one)));
          step.wishes.forEach(({ cell, rater, stars, skips }, i) => {
            if (stars === null && !skips) said[cell]!.delete(rater);
            else said[cell]!.set(rater, stars);
            const all = [...said[cell]!.values()].filter((given) => given !== null);
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

  /** The last word of a rater in the history is what is in `ratings`, of every version. */
  async function checkHistory(task: string): Promise<void> {
    const wrong = await sql`
      select h.*, r.stars as held
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
