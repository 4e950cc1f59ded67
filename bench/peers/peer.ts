/** What the programs of the throughput run have in common: how they are told, their result row, their no-op image. */
import process from "node:process";
import { connect, type Pool, type Sql } from "../../db/pg/connect.ts";
import { createBatcher } from "../../batch.ts";
import { print } from "../../process.ts";

/** What a peer is told, as JSON in its only argument. */
export interface PeerOrder {
  url: string;
  redisUrl: string;
  taskId: string;
  /** Jobs at once. */
  slots: number;
  writes: PeerWrites;
}

/**
 * What a job writes to PostgreSQL: `result` the result row and the counter, a statement a job; `gathered` the same,
 * many jobs in a statement, by the batcher that our worker uses; `all` also what ours writes before the call and
 * after it, so that a crash pays for nothing twice, gathered likewise.
 */
export type PeerWrites = "result" | "gathered" | "all";

/** A job's payload: what our claim returns of a row. */
export interface PeerJob {
  task_id: string;
  id: string;
  prompts: string;
  ratio: string;
  seed: string;
  use_polish: boolean;
}

export const readOrder = (): PeerOrder => JSON.parse(Deno.args[0]!) as PeerOrder;

/** The cells of the task, as the jobs that a peer is given. */
export async function listJobs(sql: Pool, taskId: string): Promise<PeerJob[]> {
  return await sql<PeerJob[]>`
    select parent_task_id as task_id, id, prompts::text, ratio, seed::text, use_polish
    from subtasks where parent_task_id = ${taskId} order by cell`;
}

interface Result {
  task_id: string;
  id: string;
  result: string;
  image_url: string;
}

/** The fields that our settle writes to the row, and the counters and the state of its task. */
async function writeResults(sql: Sql, results: Result[]): Promise<void> {
  const column = (key: keyof Result) => results.map((result) => result[key]);
  await sql`
    with moved as (
      update subtasks s
      set status = 'completed', retry_count = 0, result = i.result::json, image_url = i.image_url, updated_at = now(),
        completed_at = now(), lease_id = null, worker_id = null
      from unnest(${column("task_id")}::uuid[], ${column("id")}::uuid[], ${column("result")}::text[], ${
    column("image_url")
  }::text[]) as i (task_id, id, result, image_url)
      where s.parent_task_id = i.task_id and s.id = i.id
      returning s.parent_task_id as task_id
    ), counted as (
      select task_id, count(*) as ended from moved group by 1
    )
    update tasks t
    set subtasks_completed = t.subtasks_completed + c.ended, updated_at = now(), revision = t.revision + 1,
      started_at = coalesce(t.started_at, now()),
      all_subtasks_completed = t.subtasks_completed + c.ended = t.subtasks_total,
      status = case when t.subtasks_completed + c.ended = t.subtasks_total then 'completed' else 'processing' end,
      completed_at = case when t.subtasks_completed + c.ended = t.subtasks_total then now() end
    from counted c
    where t.id = c.task_id`;
}

/** The fields that our claim writes before the call. */
async function writeIntents(sql: Sql, jobs: PeerJob[]): Promise<void> {
  await sql`
    update subtasks s
    set status = 'processing', lease_id = nextval('lease_ids'), worker_id = 'peer', started_at = now(),
      updated_at = now(), attempt = s.attempt + 1, intent_at = now()
    from unnest(${jobs.map(({ task_id }) => task_id)}::uuid[], ${
    jobs.map(({ id }) => id)
  }::uuid[]) as i (task_id, id)
    where s.parent_task_id = i.task_id and s.id = i.id`;
}

type Remote = PeerJob & { remote_id: string };

/** The job's id, as ours saves it once the call has answered. */
async function writeRemoteIds(sql: Sql, jobs: Remote[]): Promise<void> {
  await sql`
    update subtasks s
    set remote_id = i.remote_id
    from unnest(${jobs.map(({ task_id }) => task_id)}::uuid[], ${jobs.map(({ id }) => id)}::uuid[], ${
    jobs.map(({ remote_id }) => remote_id)
  }::text[]) as i (task_id, id, remote_id)
    where s.parent_task_id = i.task_id and s.id = i.id`;
}

let made = 0;
// deno-lint-ignore require-await -- a call that takes no time is a call all the same
const callNoOp = async (): Promise<string> => `job-${++made}`;

/** Opens what a peer does with one job: two calls that take no time, and its writes. */
export function openWork({ url, writes }: PeerOrder): { sql: Pool; work: (job: PeerJob) => Promise<void> } {
  const sql = connect(url, { max: 6 });
  const gather = <Item>(write: (sql: Sql, items: Item[]) => Promise<void>, gatherMs: number) =>
    createBatcher<Item, void>(async (items) => {
      await write(sql, items);
      return items.map(() => undefined);
    }, { gatherMs });
  const save = writes === "result"
    ? (result: Result) => writeResults(sql, [result])
    : gather<Result>(writeResults, 2);
  const intend = gather<PeerJob>(writeIntents, 0);
  const saveRemote = gather<Remote>(writeRemoteIds, 0);
  return {
    sql,
    async work(job) {
      const { task_id, id, seed } = job;
      if (writes === "all") await intend(job);
      const remote_id = await callNoOp();
      if (writes === "all") await saveRemote({ ...job, remote_id });
      const image_url = `http://i/${await callNoOp()}.png`;
      const result = JSON.stringify({
        url: image_url,
        width: 1024,
        height: 1024,
        seed: Number(seed),
        created_at: new Date().toISOString(),
      });
      await save({ task_id, id, result, image_url });
    },
  };
}

/** Says that all is prepared, and waits for the line that starts the clock. */
export async function waitForGo(): Promise<void> {
  print("ready");
  const { promise, resolve } = Promise.withResolvers<void>();
  process.stdin.once("data", () => resolve());
  await promise;
}

/** Stays until the process is killed. */
export const stay = (): Promise<never> => new Promise(() => setInterval(() => {}, 60_000));
