/** Inserts ratings, failures and votes of a task in bulk. */
import type { TestApi } from "../../support/api.ts";

type Api = Pick<TestApi, "database">;

/** Rates all images of a task with `stars(cell)`; null leaves a cell unrated. */
export async function rateAll(
  { database: { sql } }: Api,
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

/** Marks cells as failed; with `outcome` also inserts the attempt, like the queue. */
export async function failCells(
  { database: { sql } }: Api,
  task: string,
  cells: number[],
  { error, outcome }: { error: string; outcome?: string },
): Promise<void> {
  await sql`
    update subtasks set status = 'failed', image_url = null, result = null, error = ${error}
    where parent_task_id = ${task} and cell = any(${cells}::int[])`;
  if (outcome === undefined) return;
  await sql`
    insert into attempts (task_id, subtask_id, attempt, outcome)
    select parent_task_id, id, attempt, ${outcome} from subtasks
    where parent_task_id = ${task} and cell = any(${cells}::int[])`;
}

/** Inserts votes between cells. */
export async function vote(
  { database: { sql } }: Api,
  task: string,
  rater: string,
  votes: [left: number, right: number, outcome: string][],
): Promise<void> {
  await sql`
    insert into votes (task_id, left_id, left_version, right_id, right_version, outcome, rater_id)
    select ${task}, l.id, l.attempt, r.id, r.attempt, v.outcome, ${rater}
    from unnest(${votes.map(([left]) => left)}::int[], ${votes.map(([, right]) => right)}::int[],
      ${votes.map(([, , outcome]) => outcome)}::text[]) as v (left_cell, right_cell, outcome)
    join subtasks l on l.parent_task_id = ${task} and l.cell = v.left_cell
    join subtasks r on r.parent_task_id = ${task} and r.cell = v.right_cell`;
}
