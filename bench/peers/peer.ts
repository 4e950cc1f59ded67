/** Common parts of the throughput programs: their input, their writes and a no-op image call. */
import process from "node:process";
import { connect, type Pool, type Sql } from "../../db/pg/connect.ts";
import { createBatcher } from "../../batch.ts";
import { print } from "../../process.ts";

/** Input of a program, as JSON in its only argument. */
export interface PeerInput {
  url: string;
  redisUrl: string;
  taskId: string;
  /** Number of concurrent jobs. */
  slots: number;
  writes: PeerWrites;
}

/**
 * Writes of a job to PostgreSQL:
 *
 * - `result`: the result row and the counter, in one statement per job
 * - `batched`: the same for many jobs per statement, with the batcher of this project's worker
 * - `all`: batched, and also the intent before the call and the job's id after it, as this project's worker writes them
 */
export type PeerWrites = "result" | "batched" | "all";

/** The payload of a job: the fields of a row that a claim returns. */
export interface PeerJob {
  task_id: string;
  id: string;
  prompts: string;
  ratio: string;
  seed: string;
  use_polish: boolean;
}

/** Reads the input from the command line. */
export const readInput = (): PeerInput => JSON.parse(Deno.args[0]!) as PeerInput;

/** Lists the cells of the task as jobs. */
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

/** Writes the fields that settling writes: those of the rows, and the counters and status of their tasks. */
async function writeResults(sql: Sql, results: Result[]): Promise<void> {
  const column = (key: keyof Result) => results.map((result) => result[key]);
  const items = sql`
    unnest(${column("task_id")}::uuid[], ${column("id")}::uuid[], ${column("result")}::text[],
      ${column("image_url")}::text[])`;
  await sql`
    with moved as (
      update subtasks s
      set status = 'completed', retry_count = 0, result = i.result::json, image_url = i.image_url, updated_at = now(),
        completed_at = now(), lease_id = null, worker_id = null
      from ${items} as i (task_id, id, result, image_url)
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

/** Writes the fields that a claim writes before the call. */
async function writeIntents(sql: Sql, jobs: PeerJob[]): Promise<void> {
  const taskIds = jobs.map(({ task_id }) => task_id);
  const ids = jobs.map(({ id }) => id);
  await sql`
    update subtasks s
    set status = 'processing', lease_id = nextval('lease_ids'), worker_id = 'peer', started_at = now(),
      updated_at = now(), attempt = s.attempt + 1, intent_at = now()
    from unnest(${taskIds}::uuid[], ${ids}::uuid[]) as i (task_id, id)
    where s.parent_task_id = i.task_id and s.id = i.id`;
}

type RemoteJob = PeerJob & { remote_id: string };

/** Writes the ids of remote jobs after the call has answered. */
async function writeRemoteIds(sql: Sql, jobs: RemoteJob[]): Promise<void> {
  const taskIds = jobs.map(({ task_id }) => task_id);
  const ids = jobs.map(({ id }) => id);
  const remoteIds = jobs.map(({ remote_id }) => remote_id);
  await sql`
    update subtasks s
    set remote_id = i.remote_id
    from unnest(${taskIds}::uuid[], ${ids}::uuid[], ${remoteIds}::text[]) as i (task_id, id, remote_id)
    where s.parent_task_id = i.task_id and s.id = i.id`;
}

let calls = 0;
// deno-lint-ignore require-await -- it stands for an asynchronous call
const callNoOp = async (): Promise<string> => `job-${++calls}`;

/** Opens a pool and returns a function that processes one job: two no-op calls and the writes. */
export function openProcessor(
  { url, writes }: PeerInput,
): { sql: Pool; processJob: (job: PeerJob) => Promise<void> } {
  const sql = connect(url, { max: 6 });
  const createWriter = <Item>(write: (sql: Sql, items: Item[]) => Promise<void>) =>
    createBatcher<Item, void>(async (items) => {
      await write(sql, items);
      return items.map(() => undefined);
    });
  const save = writes === "result"
    ? (result: Result) => writeResults(sql, [result])
    : createWriter<Result>(writeResults);
  const writeIntent = createWriter<PeerJob>(writeIntents);
  const writeRemoteId = createWriter<RemoteJob>(writeRemoteIds);
  return {
    sql,
    async processJob(job) {
      const { task_id, id, seed } = job;
      if (writes === "all") await writeIntent(job);
      const remote_id = await callNoOp();
      if (writes === "all") await writeRemoteId({ ...job, remote_id });
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

/** Prints that the program is ready and waits for the start signal. */
export async function waitForStart(): Promise<void> {
  print("ready");
  const { promise, resolve } = Promise.withResolvers<void>();
  process.stdin.once("data", () => resolve());
  await promise;
}

/** Keeps the process alive until it is killed. */
export const waitForever = (): Promise<never> => new Promise(() => setInterval(() => {}, 60_000));
