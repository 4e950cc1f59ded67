/** The users of a run: they submit, cancel and delete tasks, and reopen failed cells. */
import type { Pool } from "../../db/pg/connect.ts";
import { cancelTask, deleteTask } from "../../jobs/moves/cancel.ts";
import { submitTask } from "../../jobs/moves/submit.ts";
import { type Json, type JsonObject, parseJson } from "../../json.ts";
import { silentLog } from "../../log.ts";
import type { PlannedTask } from "./plan.ts";
import { pause } from "./servers.ts";

/** A task that the rig submitted. */
export interface SubmittedTask {
  planned: PlannedTask;
  id: string;
  /** Times in seconds before the call that cancelled or deleted the task, and after its answer. */
  cancelled?: { from: number; to: number };
  /** Number of times the rig reopened the task. */
  reopened: number;
}

/** The user who owns the tasks of a run. */
export interface User {
  id: string;
  email: string;
}

const unused = { name: "", values: [] };
const seconds = () => Date.now() / 1000;

/** Returns the tags and variables of a task with one cell for each prompt. */
export function makeBody(prompts: string[]): { tags: Json[]; variables: JsonObject } {
  const axis = { tag_id: "1", name: "p", values: prompts.map((value, i) => ({ id: `1-${i}`, value })) };
  const tag = { id: "1", type: "prompt", isVariable: true, value: "", name: "p" };
  const parsed = parseJson(
    JSON.stringify({ tags: [tag], variables: { v0: axis, v1: unused } }),
  ) as JsonObject;
  return { tags: parsed.get("tags") as Json[], variables: parsed.get("variables") as JsonObject };
}

/** Inserts a user. */
export async function insertUser(sql: Pool): Promise<User> {
  const email = `${crypto.randomUUID()}@example.com`;
  const [row] = await sql<{ id: string }[]>`
    insert into users (email, hashed_password) values (${email}, 'x') returning id`;
  return { id: row!.id, email };
}

/** Submits a task exactly once. It looks for the task before each try, since an answer can be lost after the commit. */
async function submit(sql: Pool, user: User, planned: PlannedTask): Promise<string> {
  for (;;) {
    try {
      const [known] = await sql<{ id: string }[]>`select id from tasks where task_name = ${planned.name}`;
      if (known) return known.id;
      const { tags, variables } = makeBody(planned.prompts);
      const settings: JsonObject = new Map();
      const { name: taskName, priority } = planned;
      const task = await submitTask({ sql, log: silentLog }, {
        user,
        taskName,
        tags,
        variables,
        settings,
        priority,
      });
      return task.id;
    } catch {
      await pause(50);
    }
  }
}

async function endTask(sql: Pool, user: User, kind: "cancel" | "delete", task: SubmittedTask): Promise<void> {
  const from = seconds();
  const act = kind === "cancel" ? cancelTask : deleteTask;
  for (;;) {
    try {
      await act({ sql, log: silentLog }, { taskId: task.id, userId: user.id });
      break;
    } catch {
      await pause(50);
    }
  }
  task.cancelled = { from, to: seconds() };
}

/** Reopens the failed cells of an ended task, as an operator would after repairing the cause. */
async function reopen(sql: Pool, id: string): Promise<boolean> {
  return await sql.begin(async (tx) => {
    await tx`set local chaos.reopens = 'yes'`;
    const [task] = await tx`
      select id from tasks where id = ${id} and status in ('completed', 'failed') for update`;
    if (!task) return false;
    const opened = await tx`
      update subtasks
      set status = 'pending', error = null, completed_at = null, remote_id = null, intent_at = null, retry_count = 0
      where parent_task_id = ${id} and status = 'failed'
      returning 1`;
    if (opened.length === 0) return false;
    await tx`
      update tasks
      set status = 'processing', completed_at = null, all_subtasks_completed = false,
        subtasks_failed = subtasks_failed - ${opened.length}
      where id = ${id}`;
    await tx`select pg_notify('contactsheet_submitted', '')`;
    return true;
  });
}

async function reopenWhenEnded(sql: Pool, task: SubmittedTask, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const [row] = await sql`select from tasks where id = ${task.id} and completed_at is not null`;
      if (row) {
        if (await reopen(sql, task.id)) task.reopened++;
        return;
      }
    } catch {
      // The database is down.
    }
    await pause(100);
  }
}

/**
 * Submits one planned task and performs its follow-up.
 *
 * @param tasks receives the task as soon as it is submitted
 * @param signal ends the wait for a task that is to be reopened
 */
export async function performTask(
  { sql, user, tasks, signal }: { sql: Pool; user: User; tasks: SubmittedTask[]; signal: AbortSignal },
  planned: PlannedTask,
): Promise<void> {
  await pause(planned.atMs);
  const task: SubmittedTask = { planned, id: await submit(sql, user, planned), reopened: 0 };
  tasks.push(task);
  if (!planned.followUp) return;
  await pause(planned.followUp.afterMs);
  if (planned.followUp.kind === "replay") await reopenWhenEnded(sql, task, signal);
  else await endTask(sql, user, planned.followUp.kind, task);
}
