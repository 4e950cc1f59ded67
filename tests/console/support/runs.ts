/** Runs of any size, written as rows, so that a page with thousands of cells is there at once. */
import { parseJson } from "../../../json.ts";
import type { Json, JsonObject } from "../../../json.ts";
import { submitTask } from "../../../jobs/moves/submit.ts";
import { silentLog } from "../../../log.ts";
import type { Person } from "../../support/people.ts";
import type { ConsoleRig } from "./console.ts";

/** Shares of the cells by their state, from 0 to 1. The rest is completed. */
export interface StateShares {
  failed?: number;
  cancelled?: number;
  pending?: number;
  processing?: number;
}

export interface RunSeed {
  name?: string;
  /** Values of the axes in order, such as `{prompt: ["a cat", "a dog"], seed: ["1", "2"]}`; the key is the tag's type. */
  axes: Record<string, readonly string[]>;
  states?: StateShares;
  /** People who rate completed cells, and their stars by cell; undefined leaves a cell out. */
  raters?: readonly Person[];
  starsOf?: (cell: number, rater: number) => number | undefined;
  /** Age of the run in minutes. */
  minutesAgo?: number;
  hold?: "pause" | "import" | "canary";
}

const causes = ["图像接口返回 HTTP 500", "图像接口超时", "内容审核未通过"];

async function submit(
  { api }: Pick<ConsoleRig, "api">,
  { id, email }: Person,
  { name = "a run", axes }: RunSeed,
): Promise<string> {
  const keys = Object.keys(axes);
  const tags = keys.map((type, i) => ({ id: String(i), type, isVariable: true, name: type }));
  const variables = Object.fromEntries(
    keys.map((
      key,
      i,
    ) => [`v${i}`, { name: key, values: axes[key]!.map((value, n) => ({ id: `${i}-${n}`, value })) }]),
  );
  const task = await submitTask({ sql: api.database.sql, log: silentLog }, {
    user: { id, email },
    taskName: name,
    tags: parseJson(JSON.stringify(tags)) as Json[],
    variables: parseJson(JSON.stringify(variables)) as JsonObject,
    settings: new Map(),
  });
  return task.id;
}

/** Gives each cell its state, spread evenly and equal for each run. */
async function endCells(
  { api, images }: Pick<ConsoleRig, "api" | "images">,
  id: string,
  states: StateShares,
) {
  const { database: { sql } } = api;
  const { failed = 0, cancelled = 0, pending = 0, processing = 0 } = states;
  const cancelledFrom = failed;
  const pendingFrom = cancelledFrom + cancelled;
  const processingFrom = pendingFrom + pending;
  const completedFrom = processingFrom + processing;
  await sql`
    update subtasks s
    set status = p.status, attempt = case when p.status in ('completed', 'failed') then 1 else 0 end,
      started_at = case when p.status in ('completed', 'failed', 'processing') then now() - interval '5 min' end,
      completed_at = case when p.status in ('completed', 'failed', 'cancelled') then now() - interval '1 min' end,
      error = case when p.status = 'failed' then (${causes}::text[])[s.cell % 3 + 1] end,
      image_url = case when p.status = 'completed' then p.url end,
      result = case when p.status = 'completed'
        then json_build_object('images', json_build_array(json_build_object('url', p.url))) end
    from (
      select id, ${images.origin} || '/' || ${
    id.slice(0, 4)
  }::text || coalesce(variable_indices[1], 0) || '/' || cell || '.png' as url,
        case when place < ${cancelledFrom}::float8 then 'failed' when place < ${pendingFrom}::float8 then 'cancelled'
          when place < ${processingFrom}::float8 then 'pending' when place < ${completedFrom}::float8 then 'processing'
          else 'completed' end as status
      from (
        select id, cell, variable_indices, (cell::bigint * 7919 % 10007)::float8 / 10007 as place
        from subtasks where parent_task_id = ${id}
      ) places
    ) p
    where s.parent_task_id = ${id} and s.id = p.id`;
}

async function rateCells({ api }: Pick<ConsoleRig, "api">, id: string, { raters = [], starsOf }: RunSeed) {
  const { database: { sql } } = api;
  const completed = await sql<{ cell: number }[]>`
    select cell from subtasks where parent_task_id = ${id} and status = 'completed'`;
  const rows = raters.flatMap((rater, i) =>
    completed.flatMap(({ cell }) => {
      const stars = starsOf?.(cell, i);
      return stars === undefined ? [] : [{ cell, stars, rater: rater.id }];
    })
  );
  if (rows.length === 0) return;
  await sql`
    insert into ratings (task_id, subtask_id, version, rater_id, stars)
    select ${id}, s.id, s.attempt, r.rater, r.stars
    from unnest(${rows.map(({ cell }) => cell)}::int[], ${rows.map(({ stars }) => stars)}::int[],
      ${rows.map(({ rater }) => rater)}::uuid[]) as r (cell, stars, rater)
    join subtasks s on s.parent_task_id = ${id} and s.cell = r.cell`;
  await sql`
    update subtasks s
    set rating_n = r.n, rating_sum = r.sum, rating = round(r.sum::numeric / r.n)
    from (select subtask_id, count(*)::int as n, sum(stars)::int as sum from ratings where task_id = ${id} group by 1) r
    where s.parent_task_id = ${id} and s.id = r.subtask_id`;
}

/**
 * Submits a run, and ends and rates its cells by rows.
 *
 * @returns its id
 */
export async function addRun(
  rig: Pick<ConsoleRig, "api" | "images">,
  owner: Person,
  seed: RunSeed,
): Promise<string> {
  const { database: { sql } } = rig.api;
  const { states = {}, minutesAgo = 60, hold } = seed;
  const id = await submit(rig, owner, seed);
  await endCells(rig, id, states);
  await rateCells(rig, id, seed);
  await sql`
    update tasks t
    set subtasks_completed = c.completed, subtasks_failed = c.failed, subtasks_cancelled = c.cancelled, revision = t.revision + 1,
      status = c.status, completed_at = case when c.status in ('completed', 'failed', 'cancelled') then now() end,
      all_subtasks_completed = c.open = 0, hold = ${hold ?? null}::text,
      started_at = case when c.status <> 'pending' then now() - ${minutesAgo}::int * interval '1 min' end,
      created_at = now() - ${minutesAgo}::int * interval '1 min'
    from (
      select *, case when open = 0 and completed > 0 then 'completed' when open = 0 and failed > 0 then 'failed'
        when open = 0 then 'cancelled' when completed + failed + processing > 0 then 'processing' else 'pending' end as status
      from (
        select count(*) filter (where status = 'completed')::int as completed,
          count(*) filter (where status = 'failed')::int as failed,
          count(*) filter (where status = 'cancelled')::int as cancelled,
          count(*) filter (where status = 'processing')::int as processing,
          count(*) filter (where status in ('pending', 'processing'))::int as open
        from subtasks where parent_task_id = ${id}
      ) counts
    ) c
    where t.id = ${id}`;
  await sql`analyze subtasks`;
  return id;
}
