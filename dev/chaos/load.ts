/** What users do during a run: submit, cancel, delete, and have failed cells drawn again. */
import type { Pool } from "../../db/pg/connect.ts";
import { cancelTask, deleteTask } from "../../jobs/moves/cancel.ts";
import { submitTask } from "../../jobs/moves/submit.ts";
import { type Json, type JsonObject, parseJson } from "../../json.ts";
import { silentLog } from "../../log.ts";
import type { Order } from "./schedule.ts";
import { pause } from "./stage.ts";

/** A task that the rig asked for. */
export interface Submitted {
  order: Order;
  id: string;
  /** Times in seconds: before the call that cancelled or deleted it, and after its answer. */
  cancelled?: { from: number; to: number };
  /** How often the rig opened it again. */
  reopened: number;
}

export interface User {
  id: string;
  email: string;
}

const unused = { name: "", values: [] };
const seconds = () => Date.now() / 1000;

function makeBody(prompts: string[]): { tags: Json[]; variables: JsonObject } {
  const axis = { tag_id: "1", name: "p", values: prompts.map((value, i) => ({ id: `1-${i}`, value })) };
  const tag = { id: "1", type: "prompt", isVariable: true, value: "", name: "p" };
  const parsed = parseJson(
    JSON.stringify({ tags: [tag], variables: { v0: axis, v1: unused } }),
  ) as JsonObject;
  return { tags: parsed.get("tags") as Json[], variables: parsed.get("variables") as JsonObject };
}

export async function insertUser(sql: Pool): Promise<User> {
  const email = `${crypto.randomUUID()}@example.com`;
  const [row] = await sql<{ id: string }[]>`
    insert into users (email, hashed_password) values (${email}, 'x') returning id`;
  return { id: row!.id, email };
}

/** Submits until it is sure that the task is there once: an answer may get lost after the commit. */
async function submit(sql: Pool, user: User, order: Order): Promise<string> {
  for (;;) {
    try {
      const [known] = await sql<{ id: string }[]>`select id from tasks where task_name = ${order.name}`;
      if (known) return known.id;
      const { tags, variables } = makeBody(order.prompts);
      const settings: JsonObject = new Map();
      const { name: taskName, priority } = order;
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

async function end(sql: Pool, user: User, kind: "cancel" | "delete", task: Submitted): Promise<void> {
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

/** Opens the failed cells of an ended task again, as an operator would who has mended what made them fail. */
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

async function replay(sql: Pool, task: Submitted, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const [row] = await sql`select from tasks where id = ${task.id} and completed_at is not null`;
      if (row) {
        if (await reopen(sql, task.id)) task.reopened++;
        return;
      }
    } catch {
      // Down just now.
    }
    await pause(100);
  }
}

/**
 * Carries out one order and what follows it.
 *
 * @param tasks takes what was submitted, as soon as it is
 * @param signal ends the waiting for a task that may be opened again
 */
export async function carryOut(
  { sql, user, tasks, signal }: { sql: Pool; user: User; tasks: Submitted[]; signal: AbortSignal },
  order: Order,
): Promise<void> {
  await pause(order.atMs);
  const task: Submitted = { order, id: await submit(sql, user, order), reopened: 0 };
  tasks.push(task);
  if (!order.then) return;
  await pause(order.then.afterMs);
  if (order.then.kind === "replay") await replay(sql, task, signal);
  else await end(sql, user, order.then.kind, task);
}
