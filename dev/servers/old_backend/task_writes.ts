/** The old backend's writes of tasks: documents of the generations T3 and S4, in its order of writes. */
import { type Document, ObjectId } from "mongodb";
import { expandTask } from "../../../jobs/matrix/expand.ts";
import { type Json, parseJson } from "../../../json.ts";
import { respond } from "../../../routes/v1/call.ts";
import { HttpError } from "../../../routes/v1/http_error.ts";
import { readNewTask } from "../../../routes/v1/task_body.ts";
import type { Store } from "./store.ts";
import { getTask, newTaskToJson } from "./task_reads.ts";
import { toBson, toNumber, whole } from "./values.ts";

/** Makes the documents of a task and its subtasks from a create call. */
export function makeTask(
  email: string,
  body: Json,
): { task: Document; subtasks: Document[]; expected: number } {
  const { taskName, tags, variables, settings } = readNewTask(body);
  const { total, imagesExpected, variablesStored, settingsStored, cells } = expandTask({
    tags,
    variables,
    settings,
  });
  const now = new Date();
  const id = crypto.randomUUID();
  const task = {
    _id: new ObjectId(),
    id,
    task_name: taskName,
    username: email,
    tags: toBson(tags),
    variables: toBson(variablesStored),
    settings: toBson(settingsStored),
    status: "pending",
    created_at: now,
    updated_at: now,
    total_images: whole(total),
    all_subtasks_completed: false,
    processed_images: whole(0),
    progress: whole(0),
    is_deleted: false,
    priority: whole(1),
  };
  const subtasks = Array.from(cells, (cell) => ({
    _id: new ObjectId(),
    id: crypto.randomUUID(),
    parent_task_id: id,
    variable_indices: cell.variable_indices.map((index) => index === null ? null : whole(index)),
    variable_types_map: toBson(parseJson(cell.variable_types_map)),
    type_to_variable: toBson(parseJson(cell.type_to_variable)),
    status: "pending",
    result: null,
    error: null,
    retry_count: whole(0),
    prompts: toBson(parseJson(cell.prompts)),
    ratio: cell.ratio,
    seed: whole(cell.seed),
    use_polish: cell.use_polish,
    created_at: now,
    updated_at: now,
  }));
  return { task, subtasks, expected: imagesExpected };
}

/** `POST /tasks`. The task comes before its subtasks, so a failure in between leaves it without them. */
export async function createTask(store: Store, email: string, body: Json): Promise<Response> {
  const { task, subtasks, expected } = makeTask(email, body);
  await store.tasks.insertOne(task);
  await store.subtasks.insertMany(subtasks, { ordered: true });
  return respond("任务创建成功", newTaskToJson(task, expected));
}

async function getOwnTask(store: Store, id: string, email: string, verb: string): Promise<Document> {
  const task = await getTask(store, id);
  if (task.username !== email) throw new HttpError(403, `无权限${verb}此任务`);
  return task;
}

const open = ["pending", "processing"];

/** `POST /tasks/{id}/cancel`. Its subtasks go on. */
export async function cancelTask(store: Store, id: string, email: string): Promise<Response> {
  await getOwnTask(store, id, email, "取消");
  await store.tasks.updateOne({ id, status: { $in: open } }, {
    $set: { status: "cancelled", updated_at: new Date() },
  });
  return respond("任务已取消", "null");
}

/** `DELETE /tasks/{id}`: a mark; nothing is removed. */
export async function deleteTask(store: Store, id: string, email: string): Promise<Response> {
  await getOwnTask(store, id, email, "删除");
  await store.tasks.updateOne({ id }, { $set: { is_deleted: true, updated_at: new Date() } });
  return respond("任务已删除", "null");
}

/** Stores the counters of a task, and its end if all its subtasks have ended. */
export async function recountTask({ tasks, subtasks }: Store, id: string): Promise<void> {
  const groups = await subtasks.aggregate([
    { $match: { parent_task_id: id } },
    { $group: { _id: "$status", count: { $sum: 1 } } },
  ]).toArray();
  const counts = new Map(groups.map(({ _id, count }) => [String(_id), toNumber(count)]));
  const count = (...names: string[]) => names.reduce((sum, name) => sum + (counts.get(name) ?? 0), 0);
  const total = [...counts.values()].reduce((sum, one) => sum + one, 0);
  const processed = count("completed", "failed");
  const change: Document = {
    processed_images: whole(processed),
    progress: whole(total === 0 ? 0 : Math.floor((100 * processed) / total)),
    updated_at: new Date(),
  };
  const hasEnded = total > 0 && count(...open) === 0;
  await tasks.updateOne({ id }, {
    $set: Object.assign(change, hasEnded ? { all_subtasks_completed: true } : {}),
  });
  if (!hasEnded) return;
  const status = count("failed") === total
    ? "failed"
    : count("cancelled") === total
    ? "cancelled"
    : "completed";
  await tasks.updateOne({ id, status: { $in: open } }, { $set: { status, updated_at: new Date() } });
}
