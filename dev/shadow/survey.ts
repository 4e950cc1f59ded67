/** Reads from both backends, before the first request, the ids to use and the facts that rules need. */
import { type Json, JsonNumber } from "../../json.ts";
import type { Known } from "./generate.ts";
import { encode } from "./parts.ts";
import {
  hasEnded,
  isOwnChange,
  type OwnChange,
  stateOf,
  type TaskState,
} from "../../comparison/own_reads.ts";
import { type Facts, failedSubtasks } from "../../comparison/rules.ts";
import { type Answer, valueAt } from "../../comparison/answer.ts";
import type { Side } from "./side.ts";

const pagesMax = 20;
const pageSize = 100;
const idsMax = 40;
/** Maximum number of subtasks of tasks that requests use. */
const imagesMax = 500;

/** The tasks that a backend lists, and their number as it reports it. */
interface Listed {
  tasks: Map<string, Map<string, Json>>;
  total: number;
}

const textOf = (value: Json | undefined): string => typeof value === "string" ? value : "";
const numberOf = (value: Json | undefined): number => value instanceof JsonNumber ? value.value : 0;
const maps = (value: Json | undefined): Map<string, Json>[] =>
  Array.isArray(value) ? value.filter((item) => item instanceof Map) : [];

async function listTasks(side: Side): Promise<Listed> {
  const listed: Listed = { tasks: new Map(), total: 0 };
  for (let page = 1; page <= pagesMax; page++) {
    const data = await side.read(`/api/v1/tasks?page=${page}&page_size=${pageSize}`);
    if (!(data instanceof Map)) break;
    listed.total = numberOf(data.get("total"));
    for (const task of maps(data.get("tasks"))) listed.tasks.set(textOf(task.get("id")), task);
    if (page * pageSize >= listed.total) break;
  }
  return listed;
}

/** Returns the tasks that the old list shows as completed and the new one as failed, if all subtasks failed. */
async function findMisreportedTasks(was: Listed, is: Listed, now: Side): Promise<Set<string>> {
  const misreportedTasks = new Set<string>();
  for (const [id, task] of is.tasks) {
    if (task.get("status") !== "failed" || was.tasks.get(id)?.get("status") !== "completed") continue;
    const detail = await now.read(`/api/v1/tasks/${encode(id)}`);
    if (failedSubtasks(detail) > 0) misreportedTasks.add(id);
  }
  return misreportedTasks;
}

/**
 * Reads the old list again and returns the tasks that the old backend's own reads have changed since `before`. A list
 * does not change tasks. The subtasks are read from the new backend, which changes nothing either.
 */
export async function findOwnChanges(
  old: Side,
  now: Side,
  before: ReadonlyMap<string, TaskState>,
): Promise<Map<string, OwnChange>> {
  const changes = new Map<string, OwnChange>();
  for (const [id, task] of (await listTasks(old)).tasks) {
    const state = before.get(id);
    const change = state && { before: state, after: stateOf(task) };
    if (!change || !isOwnChange(change)) continue;
    if (hasEnded(await now.read(`/api/v1/tasks/${encode(id)}`))) changes.set(id, change);
  }
  return changes;
}

/** What is read before the first request. */
export interface Survey {
  known: Known;
  facts: Facts & { ownChanges: Map<string, OwnChange> };
  /** The tasks of the old list. */
  before: ReadonlyMap<string, TaskState>;
}

/** Reads the lists of both backends with their tokens. Data that they do not show is not used. */
export async function survey(old: Side, now: Side): Promise<Survey> {
  const [was, is] = await Promise.all([listTasks(old), listTasks(now)]);
  const onlyNew = [...is.tasks.keys()].filter((id) => !was.tasks.has(id));
  const uncounted = was.total - was.tasks.size;
  const hiddenTasks = new Set(onlyNew.length <= uncounted ? onlyNew : []);
  const small = [...is.tasks].filter(([, task]) => numberOf(task.get("total_images")) <= imagesMax);
  const tasks = small.map(([, task]) => task).slice(0, idsMax);
  const [users, me] = await Promise.all([now.read("/api/v1/users/?limit=20"), now.read("/api/v1/users/me")]);
  const userIds = [me instanceof Map ? me : undefined, ...maps(users)].map((user) => textOf(user?.get("id")));
  const distinct = (texts: string[]) => [...new Set(texts)].filter((text) => text !== "");
  return {
    known: {
      taskIds: distinct(tasks.map((task) => encode(textOf(task.get("id"))))),
      userIds: distinct(userIds.map(encode)),
      usernames: distinct(tasks.map((task) => textOf(task.get("username")))).slice(0, 10),
      taskNames: distinct(tasks.map((task) => textOf(task.get("task_name")))),
    },
    facts: {
      hiddenTasks,
      misreportedTasks: await findMisreportedTasks(was, is, now),
      ownChanges: new Map(),
    },
    before: new Map([...was.tasks].map(([id, task]) => [id, stateOf(task)])),
  };
}

/** Saves the values that a request asks for from both answers, and pairs the ids of both backends. */
export function saveValues(
  save: Record<string, string>,
  sides: [old: Side, now: Side],
  answers: [old: Answer, now: Answer],
  pairs: Map<string, string>,
): void {
  for (const [name, path] of Object.entries(save)) {
    const values = answers.map((answer) => valueAt(answer, path));
    const [was, is] = values;
    if (typeof was !== "string" || typeof is !== "string") continue;
    sides[0].variables.set(name, was);
    sides[1].variables.set(name, is);
    if (was !== is) pairs.set(was, is);
  }
}
