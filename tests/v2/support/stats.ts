/** Inserts ratings, failures and votes of a task in bulk. */
import type { TestApi } from "../../support/api.ts";

type Api = Pick<TestApi, "database">;

/** Raises the revision of a task and of these cells, as every change of cells does. */
export async function raiseCells({ database: { sql } }: Api, task: string, cells: number[]): Promise<void> {
  await sql`
    with raised as (
      update tasks set revision = revision + 1 where id = ${task} returning revision
    )
    update subtasks set revision = raised.revision
    from raised
    where parent_task_id = ${task} and cell = any(${cells}::int[])`;
}

/** Rates all images of a task with `stars(cell)`; null leaves a cell unrated. */
export async function rateAll(
  api: Api,
  task: string,
  rater: string,
  stars: (cell: number) => number | null,
): Promise<void> {
  const { sql } = api.database;
  const cells = await sql<{ id: string; cell: number; attempt: number }[]>`
    select id, cell, attempt from subtasks where parent_task_id = ${task} and status = 'completed'`;
  const rated = cells.filter(({ cell }) => stars(cell) !== null);
  await sql`
    insert into ratings (task_id, subtask_id, version, rater_id, stars)
    select ${task}, id, version, ${rater}, stars
    from unnest(${rated.map(({ id }) => id)}::uuid[], ${rated.map(({ attempt }) => attempt)}::int[],
      ${rated.map(({ cell }) => stars(cell))}::int[]) as r (id, version, stars)`;
  await raiseCells(api, task, rated.map(({ cell }) => cell));
}

/** Marks cells as failed; with `outcome` also inserts the attempt, like the queue. */
export async function failCells(
  api: Api,
  task: string,
  cells: number[],
  { error, outcome }: { error: string; outcome?: string },
): Promise<void> {
  const { sql } = api.database;
  await sql`
    update subtasks set status = 'failed', image_url = null, result = null, error = ${error}
    where parent_task_id = ${task} and cell = any(${cells}::int[])`;
  await raiseCells(api, task, cells);
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
