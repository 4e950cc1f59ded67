/** Inserts rows of tasks and subtasks directly, for tests of reads. */
import type { Sql } from "../../db/pg/connect.ts";

/** Columns of a task; each has a default. */
export interface TaskSeed {
  task_name?: string;
  username?: string;
  status?: string;
  created_at?: string;
  updated_at?: string;
  total_images?: number;
  priority?: number;
  is_deleted?: boolean;
  tags?: string;
  variables?: string;
  settings?: string;
  error?: string | null;
  generation?: string | null;
  extra?: string | null;
}

const isOver = (status: string) => ["completed", "failed", "cancelled"].includes(status);

/** Inserts a task. @returns its id */
export async function seedTask(sql: Sql, seed: TaskSeed = {}): Promise<string> {
  const { status = "pending", created_at = "2025-05-13T07:40:46.622Z" } = seed;
  const [row] = await sql<{ id: string }[]>`
    insert into tasks (
      task_name, username, status, created_at, updated_at, completed_at, total_images, priority, is_deleted, tags,
      variables, settings, error, generation, extra
    ) values (
      ${seed.task_name ?? "a task"}, ${seed.username ?? "tester@example.com"}, ${status}, ${created_at},
      ${seed.updated_at ?? created_at}, ${isOver(status) ? created_at : null}, ${seed.total_images ?? 1},
      ${seed.priority ?? 1}, ${seed.is_deleted ?? false}, ${seed.tags ?? "[]"}::text::json,
      ${seed.variables ?? "{}"}::text::json, ${seed.settings ?? "{}"}::text::json, ${seed.error ?? null},
      ${seed.generation ?? null}, ${seed.extra ?? null}::text::json
    )
    returning id`;
  return row!.id;
}

/** Columns of a subtask; each has a default. */
export interface SubtaskSeed {
  status?: string;
  /** Level indices as a PostgreSQL array literal. */
  indices?: string | null;
  result?: string | null;
  image_url?: string | null;
  error?: string | null;
  retry_count?: number;
  types?: string | null;
  prompts?: string | null;
  ratio?: string | null;
  seed?: string | null;
  use_polish?: boolean;
  created_at?: string;
  legacy_id?: string;
  generation?: string | null;
  extra?: string | null;
}

/** Returns the n-th legacy id. Ids are sorted by n. */
export const legacyId = (n: number): string => `682${String(n).padStart(21, "0")}`;

/** Inserts the subtasks of a task in order and updates its counters. */
export async function seedSubtasks(sql: Sql, taskId: string, seeds: SubtaskSeed[]): Promise<void> {
  for (const [n, seed] of seeds.entries()) {
    const { status = "pending", created_at = "2025-05-13T07:40:46Z" } = seed;
    await sql`
      insert into subtasks (
        parent_task_id, legacy_id, variable_indices, variable_types_map, type_to_variable, status, result, image_url,
        error, retry_count, prompts, ratio, seed, use_polish, created_at, updated_at, completed_at, generation, extra
      ) values (
        ${taskId}, ${seed.legacy_id ?? legacyId(n)}, ${seed.indices ?? null}::text::integer[],
        ${seed.types === undefined ? "{}" : seed.types}::text::json,
        ${seed.types === undefined ? "{}" : seed.types}::text::json, ${status}, ${
      seed.result ?? null
    }::text::json,
        ${seed.image_url ?? null}, ${seed.error ?? null}, ${seed.retry_count ?? 0},
        ${seed.prompts === undefined ? "[]" : seed.prompts}::text::json, ${seed.ratio ?? null},
        ${seed.seed ?? null}::text::bigint, ${seed.use_polish ?? false}, ${created_at}, ${created_at},
        ${isOver(status) ? created_at : null}, ${seed.generation ?? null}, ${seed.extra ?? null}::text::json
      )`;
  }
  await sql`
    update tasks
    set subtasks_total = s.total, subtasks_completed = s.completed, subtasks_failed = s.failed,
      subtasks_cancelled = s.cancelled
    from (
      select count(*) as total, count(*) filter (where status = 'completed') as completed,
        count(*) filter (where status = 'failed') as failed, count(*) filter (where status = 'cancelled') as cancelled
      from subtasks where parent_task_id = ${taskId}
    ) as s
    where id = ${taskId}`;
}

/** Returns a completed subtask with an image. */
export const drawn = (indices: string, url: string): SubtaskSeed => ({
  status: "completed",
  indices,
  image_url: url,
  result: `{"url":"${url}","width":1024,"height":1024,"seed":7,"created_at":"2025-05-13T15:40:46+08:00"}`,
});

/** Reads a stream as text. @returns undefined if there is no stream */
export async function readText(stream: ReadableStream<Uint8Array> | undefined): Promise<string | undefined> {
  return stream && await new Response(stream).text();
}
