/** v1's reads of tasks, as the old backend computes them from its documents. */
import type { Document } from "mongodb";
import { respond } from "../../../routes/v1/call.ts";
import { HttpError } from "../../../routes/v1/http_error.ts";
import { findAll, findFirst, type Store } from "./store.ts";
import { toJson, toNumber, whole } from "./values.ts";

const slots = [0, 1, 2, 3, 4, 5];

/** @throws HttpError 404. Like the old backend, it finds deleted tasks too, and tasks of the first generations never. */
export async function getTask({ tasks }: Store, id: string): Promise<Document> {
  const task = await findFirst(tasks, { id });
  if (!task) throw new HttpError(404, "任务不存在");
  return task;
}

interface Counts {
  total: number;
  completed: number;
  failed: number;
}

/** Counts the subtasks of tasks by their ids. */
export async function countSubtasks(
  { subtasks }: Store,
  ids: readonly string[],
): Promise<Map<string, Counts>> {
  const isStatus = (status: string) => ({ $sum: { $cond: [{ $eq: ["$status", status] }, 1, 0] } });
  const groups = await subtasks.aggregate([
    { $match: { parent_task_id: { $in: [...ids] } } },
    {
      $group: {
        _id: "$parent_task_id",
        total: { $sum: 1 },
        completed: isStatus("completed"),
        failed: isStatus("failed"),
        cancelled: isStatus("cancelled"),
      },
    },
  ]).toArray();
  return new Map(groups.map(({ _id, total, completed, failed }) => [
    String(_id),
    { total: toNumber(total), completed: toNumber(completed), failed: toNumber(failed) },
  ]));
}

const share = (part: number, total: number) => total === 0 ? 0 : Math.floor((100 * part) / total);

function progressOf(
  task: Document,
  counts: Counts | undefined,
): { processed_images: unknown; progress: unknown } {
  if (task.status === "completed") return { processed_images: task.total_images, progress: whole(100) };
  if (task.status === "pending") return { processed_images: whole(0), progress: whole(0) };
  if (task.status !== "processing") {
    return { processed_images: task.processed_images ?? whole(0), progress: task.progress ?? whole(0) };
  }
  const processed = (counts?.completed ?? 0) + (counts?.failed ?? 0);
  return { processed_images: whole(processed), progress: whole(share(processed, counts?.total ?? 0)) };
}

const listed = (task: Document, progress: ReturnType<typeof progressOf>) => ({
  id: task.id,
  task_name: task.task_name,
  username: task.username,
  status: task.status,
  created_at: task.created_at,
  updated_at: task.updated_at,
  total_images: task.total_images,
  processed_images: progress.processed_images,
  progress: progress.progress,
  priority: task.priority ?? whole(1),
});

/** Returns a task as the create call answers it. @param expected the product of the value counts */
export const newTaskToJson = (task: Document, expected: number): string =>
  toJson(Object.assign(listed(task, progressOf(task, undefined)), { total_images: whole(expected) }));

/** `GET /tasks` */
export async function listTasks(store: Store, query: ReadonlyMap<string, string>): Promise<Response> {
  const page = Number(query.get("page") ?? 1);
  const pageSize = Number(query.get("page_size") ?? 10);
  const filter: Document = { is_deleted: { $ne: true } };
  const status = query.get("status");
  if (status) filter.status = { $in: status.split(",") };
  if (query.get("username")) filter.username = query.get("username");
  if (query.get("task_name")) filter.task_name = { $regex: query.get("task_name"), $options: "i" };
  const total = await store.tasks.countDocuments(filter);
  const found = await store.tasks.find(filter).sort({ created_at: -1 }).skip((page - 1) * pageSize).limit(
    pageSize,
  )
    .toArray();
  const shown = found.filter(({ id }) => typeof id === "string");
  const counts = await countSubtasks(store, shown.map(({ id }) => id));
  const items = shown.map((task) => toJson(listed(task, progressOf(task, counts.get(task.id)))));
  return respond(
    "success",
    `{"tasks":[${items.join()}],"total":${total},"page":${page},"page_size":${pageSize}}`,
  );
}

/** Returns six slots. A document has a list, an object `{"v0":…}`, or a field for each slot. */
function indicesOf(subtask: Document): unknown[] {
  const given = subtask.variable_indices;
  if (Array.isArray(given)) return slots.map((slot) => given[slot] ?? null);
  const fields = typeof given === "object" && given !== null ? given : subtask;
  return slots.map((slot) => fields[`v${slot}`] ?? null);
}

const nameSlots = (values: readonly unknown[]) =>
  Object.fromEntries(slots.map((slot) => [`v${slot}`, values[slot]]));

function resultsOf(task: Document, subtasks: readonly Document[]): Document | null {
  const matrix: Document = {};
  for (const [name, variable] of Object.entries<Document>(task.variables ?? {})) {
    if (Array.isArray(variable?.values) && variable.values.length > 0) matrix[name] = {};
  }
  const raw: Document = {};
  for (const { status, result, v0, v1, v2, v3, v4, v5 } of subtasks) {
    // A subtask of the newest generations has no fields `v0` and `v1`, so all share one key.
    if (status !== "completed" || !result) continue;
    raw[`v0_${v0 ?? "None"}:v1_${v1 ?? "None"}`] = Object.assign(
      {},
      result,
      nameSlots([v0, v1, v2, v3, v4, v5]),
    );
  }
  return { matrix, raw };
}

const orderedSubtasks = ({ subtasks }: Store, id: string) =>
  findAll(subtasks, { parent_task_id: id }, { sort: { _id: 1 } });

/** `GET /tasks/{id}` */
export async function readTask(store: Store, id: string): Promise<Response> {
  const task = await getTask(store, id);
  const subtasks = await orderedSubtasks(store, id);
  const completed = subtasks.filter(({ status }) => status === "completed").length;
  const processed = completed + subtasks.filter(({ status }) => status === "failed").length;
  const ended = subtasks.length > 0 && processed >= subtasks.length;
  const status = !ended ? task.status : completed > 0 ? "completed" : "failed";
  const progress = subtasks.length === 0
    ? progressOf(task, undefined)
    : { processed_images: whole(processed), progress: whole(share(processed, subtasks.length)) };
  const shows = completed > 0 && (status === "completed" || status === "processing");
  const detail = Object.assign(listed(task, progress), {
    status,
    tags: task.tags,
    variables: task.variables,
    settings: task.settings,
    results: shows ? resultsOf(task, subtasks) : null,
    error: task.error ?? null,
    dramatiq_tasks: subtasks.map((subtask) =>
      subtask.variable_indices === undefined
        ? subtask
        : Object.assign({}, subtask, { variable_indices: indicesOf(subtask) })
    ),
  });
  return respond("success", toJson(detail));
}

/** `GET /tasks/{id}/matrix` */
export async function readMatrix(store: Store, id: string): Promise<Response> {
  const { task_name, created_at, variables } = await getTask(store, id);
  const images: Document = {};
  for (const subtask of await orderedSubtasks(store, id)) {
    const url = subtask.result?.url;
    if (subtask.status === "completed" && url) {
      images[indicesOf(subtask).map((index) => index ?? "").join()] = url;
    }
  }
  return respond(
    "success",
    toJson({ task_id: id, task_name, created_at, variables, coordinates_by_indices: images }),
  );
}
