/** Rules for explained differences. Each has a name and a test, as in docs/shadow.md. */
import { type Json, JsonNumber, type JsonObject } from "../json.ts";
import { type Answer, valueAt } from "./answer.ts";
import { type Difference, show } from "./compare.ts";
import {
  bodyOf,
  changesStatus,
  detailOf,
  type Exchange,
  fieldOf,
  hasToken,
  isOn,
  lastSegment,
  queryOf,
  some,
} from "./exchange.ts";
import { isExplainedByRead, isShift, type OwnChange, statusFilter, taskAt } from "./own_reads.ts";
import { redirectedPath, unquote } from "./paths.ts";
import { headerOf, targetOf } from "./request.ts";

/** What is known about the data. */
export interface Facts {
  /** Ids of tasks that the old backend counts but does not list. */
  hiddenTasks: ReadonlySet<string>;
  /** Ids of tasks whose subtasks all failed, and that the old backend reported as completed before the run. */
  misreportedTasks: ReadonlySet<string>;
  /** Tasks that the old backend changed in this run by reading them. */
  ownChanges: ReadonlyMap<string, OwnChange>;
}

/** A rule for one kind of difference. */
export interface Rule {
  name: string;
  /** Description of the new backend's behaviour, or of the noise, as in docs/shadow.md. */
  now: string;
  /** Whether the difference is noise of the old backend. Otherwise the new backend differs on purpose. */
  isNoise?: true;
  /** Reports whether the rule explains a difference. */
  explains(difference: Difference, exchange: Exchange, facts: Facts): boolean;
}

/** The routes that read one task. */
export const taskReads = ["GET /api/v1/tasks/{id}", "GET /api/v1/tasks/{id}/matrix"];
const userById = ["GET", "PUT", "DELETE"].map((method) => `${method} /api/v1/users/{id}`);

const exceedsInt64 = (text: string): boolean =>
  /^\s*[-+]?[\d_]+(\.0+)?\s*$/.test(text) && Math.abs(Number(text.replaceAll("_", ""))) >= 2 ** 63;

/** Returns the number of subtasks of a task if all of them failed, otherwise 0. */
export function failedSubtasks(task: Json | undefined): number {
  const subtasks = fieldOf(task, "dramatiq_tasks");
  const isFailed = Array.isArray(subtasks) &&
    subtasks.every((subtask) => fieldOf(subtask, "status") === "failed");
  return isFailed ? subtasks.length : 0;
}

/**
 * Reports whether a difference comes from a task whose subtasks all failed, and that the old backend completed: the
 * status, a later time, and in lists the counts of a completed task.
 */
function isMisreport({ path }: Difference, exchange: Exchange, { misreportedTasks }: Facts): boolean {
  const task = taskAt(path, exchange);
  if (fieldOf(task?.old, "status") !== "completed" || fieldOf(task?.new, "status") !== "failed") return false;
  const { field, old, new: now } = task!;
  const id = fieldOf(now, "id");
  if (failedSubtasks(now) === 0 && !misreportedTasks.has(String(id))) return false;
  const was = fieldOf(old, field);
  const isNumber = was instanceof JsonNumber && isOn(exchange, "GET /api/v1/tasks");
  switch (field) {
    case "status":
      return true;
    case "updated_at":
      return String(was) > String(fieldOf(now, field));
    case "progress":
      return isNumber && was.value === 100;
    case "processed_images":
      return isNumber && show(was) === show(fieldOf(old, "total_images"));
    default:
      return false;
  }
}

/** Returns the number of tasks that a status filter finds in only one backend, since their status differs. */
function countMoved(exchange: Exchange, { misreportedTasks, ownChanges }: Facts): number {
  const statuses = statusFilter(exchange) ?? [];
  const moves = [...ownChanges.values()].map(({ before, after }) =>
    [before, after].map((state) => String(state.get("status")))
  );
  for (const _ of misreportedTasks) moves.push(["failed", "completed"]);
  return moves.filter(([was, is]) => statuses.includes(was!) !== statuses.includes(is!)).length;
}

/**
 * Reports whether the path of a request has an encoded slash inside an id. The old backend decodes it before it
 * searches the route, so it finds none. Of an answer with an object, the id must be the requested one.
 */
function hasSlashInId({ step, new: now }: Exchange): boolean {
  const id = /^\/api\/v1\/(?:tasks|users)\/([^/]*%2f[^/]*)(?:\/(?:matrix|cancel))?\/?$/i.exec(step.path)?.[1];
  const found = valueAt(now, "/data/id") ?? valueAt(now, "/data/task_id");
  return id !== undefined && (step.method !== "GET" || found === unquote(id));
}

/** Reports whether every task in the new list has the requested text in its name. */
function holdsSubstring({ step, new: now }: Exchange): boolean {
  const requested = (queryOf(step, "task_name") ?? "").toLowerCase();
  const tasks = valueAt(now, "/data/tasks");
  return Array.isArray(tasks) &&
    tasks.every((task) => String(fieldOf(task, "task_name")).toLowerCase().includes(requested));
}

/** Names of the rules that change the answers before they are compared. */
export const slashRule = "no redirect for a trailing slash";
export const hiddenRule = "first-generation tasks are visible";

export const rules: Rule[] = [
  {
    name: "cancelling stops subtasks",
    now: "pending subtasks become cancelled and are not drawn",
    explains: ({ path, old, new: now }, exchange) =>
      isOn(exchange, "GET /api/v1/tasks/{id}") && /^\/data\/dramatiq_tasks\/\d+\/status$/.test(path) &&
      ['"pending"', '"processing"'].includes(old) && now === '"cancelled"' &&
      valueAt(exchange.new, "/data/status") === "cancelled",
  },
  {
    name: "the old backend's own read changed the task",
    now:
      "when the old backend reads a task whose subtasks have all ended, it stores the task as completed with a " +
      "new `updated_at`; lists then show other counts. The old list was read again: the task has changed since " +
      "the start of the run, and the new backend shows the earlier values",
    isNoise: true,
    explains: (difference, exchange, facts) =>
      isExplainedByRead(difference, exchange, facts.ownChanges) ||
      facts.ownChanges.size > 0 && isShift(difference, exchange, countMoved(exchange, facts)),
  },
  {
    name: "failed tasks stay failed",
    now: "reading a task whose subtasks all failed does not change it to completed",
    explains: (difference, exchange, facts) =>
      isMisreport(difference, exchange, facts) || isShift(difference, exchange, countMoved(exchange, facts)),
  },
  {
    name: "variable tag without variable",
    now: "422 instead of 500, and nothing is stored",
    explains: ({ kind }, exchange) => {
      const tags = fieldOf(bodyOf(exchange.step), "tags");
      return kind === "status" && isOn(exchange, "POST /api/v1/tasks") && changesStatus(exchange, 500, 422) &&
        Array.isArray(tags) &&
        tags.some((tag) => ![undefined, null, false].includes(fieldOf(tag, "isVariable") as null));
    },
  },
  {
    name: "malformed user id",
    now: "404 instead of 500, or the user who has this id",
    explains: ({ kind }, exchange) => {
      const id = unquote(lastSegment(exchange.step));
      const isFound = exchange.step.method === "GET" && changesStatus(exchange, 500, 200) &&
        valueAt(exchange.new, "/data/id") === id;
      return kind === "status" && isOn(exchange, ...userById) && !/^[0-9a-f]{24}$/i.test(id) &&
        (changesStatus(exchange, 500, 404) || isFound);
    },
  },
  {
    name: "task_name is plain text",
    now: "finds a substring, not a regular expression; every task found contains the text",
    explains: ({ kind, path }, exchange) =>
      isOn(exchange, "GET /api/v1/tasks") &&
      /[\\^$.|?*+()[\]{}]/.test(queryOf(exchange.step, "task_name") ?? "") &&
      (kind === "status" ? changesStatus(exchange, 500, 200) : path.startsWith("/data/t")) &&
      holdsSubstring(exchange),
  },
  {
    name: "results.raw has a key for each subtask",
    now: "one key for each subtask; the old backend has one key for all",
    explains: ({ path }, exchange) =>
      isOn(exchange, "GET /api/v1/tasks/{id}") && /^\/data\/results\/raw(\/|$)/.test(path),
  },
  {
    name: "detail and matrix require a token",
    now: "401, unless `PUBLIC_TASK_READS=true`",
    explains: ({ kind }, exchange) =>
      kind === "status" && isOn(exchange, ...taskReads) && changesStatus(exchange, [200, 404, 500], 401) &&
      !hasToken(exchange.step),
  },
  {
    name: "invalid token on the task list",
    now: "401 instead of 200, as on every other route",
    explains: ({ kind }, exchange) =>
      kind === "status" && isOn(exchange, "GET /api/v1/tasks") &&
      changesStatus(exchange, [200, 422, 500], 401) &&
      headerOf(exchange.step, "authorization") !== undefined && !hasToken(exchange.step) &&
      detailOf(exchange.new) === "无效的认证凭据",
  },
  {
    name: hiddenRule,
    now:
      "lists and serves them under their `task_uuid`; the old backend only counts them. The rest of a page must be equal",
    // Lists are compared without these tasks, see withoutHidden.
    explains: ({ kind }, exchange, { hiddenTasks }) => {
      const id = valueAt(exchange.new, "/data/id") ?? valueAt(exchange.new, "/data/task_id");
      return isOn(exchange, ...taskReads) && kind === "status" && changesStatus(exchange, 404, 200) &&
        typeof id === "string" && hiddenTasks.has(id);
    },
  },
  {
    name: "missing user or taken e-mail",
    now: "404 and 400 instead of 500",
    explains: ({ kind }, exchange) =>
      kind === "status" &&
      (isOn(exchange, "DELETE /api/v1/users/{id}") && changesStatus(exchange, 500, 404) ||
        isOn(exchange, "POST /api/v1/users/") && changesStatus(exchange, 500, 400)),
  },
  {
    name: slashRule,
    now:
      "the answer itself; the old backend's redirect is followed before the comparison. It also redirects for " +
      "an encoded slash (`..%2f`) and for several slashes",
    // The redirect is followed before the comparison, see followedPath. Other redirects are not explained.
    explains: () => false,
  },
  {
    name: "ids can contain an encoded slash",
    now: "`%2F` inside an id belongs to the id; the old backend has no such path",
    explains: ({ kind }, exchange) =>
      kind === "status" && exchange.old.status === 404 && detailOf(exchange.old) === "Not Found" &&
      (exchange.step.method === "GET" ? [200] : [200, 403]).includes(exchange.new.status) &&
      hasSlashInId(exchange),
  },
  {
    name: "numbers that the old backend failed on",
    now:
      "422 instead of 500 for `skip=-1`, numbers beyond 64 bits, `NaN`, and a concurrency that is not a number",
    explains: ({ kind }, exchange) => {
      if (
        kind !== "status" || !changesStatus(exchange, 500, 422) || !Array.isArray(detailOf(exchange.new))
      ) {
        return false;
      }
      const values = ["skip", "limit", "page", "page_size"].map((name) => queryOf(exchange.step, name) ?? "");
      if (values.some(exceedsInt64) || Number(values[0]) < 0 || Number(values[1]) < 0) return true;
      const body = bodyOf(exchange.step);
      if (body === undefined) return false;
      const concurrency = fieldOf(fieldOf(body, "settings"), "concurrency");
      return some(body, (value) => value instanceof JsonNumber && !(Math.abs(value.value) < 2 ** 63)) ||
        concurrency !== undefined && !(concurrency instanceof JsonNumber);
    },
  },
  {
    name: "sign-in is throttled",
    now: "429 after many attempts; further attempts are not compared",
    explains: ({ kind }, exchange) =>
      kind === "status" && isOn(exchange, "POST /api/v1/auth/login") && exchange.new.status === 429,
  },
];

/**
 * Returns the path that the old backend redirects to because of a last slash, if the new one answers directly.
 * Otherwise undefined.
 */
export function followedPath({ step, old, new: now }: Exchange): string | undefined {
  const isRedirect = ({ status }: Answer) => [307, 308].includes(status);
  if (!isRedirect(old) || isRedirect(now)) return undefined;
  return redirectedPath(targetOf(step), old.headers.get("location") ?? "");
}

/** Returns the new backend's page without hidden tasks, or undefined if it has none. */
export function withoutHidden(exchange: Exchange, { hiddenTasks }: Facts): Answer | undefined {
  const body = exchange.new.body;
  const data = valueAt(exchange.new, "/data");
  const tasks = fieldOf(data, "tasks");
  if (!isOn(exchange, "GET /api/v1/tasks") || !body || !("json" in body) || !Array.isArray(tasks)) {
    return undefined;
  }
  const shown = tasks.filter((task) => !hiddenTasks.has(String(fieldOf(task, "id"))));
  if (shown.length === tasks.length) return undefined;
  const json = new Map(body.json as JsonObject);
  json.set("data", new Map(data as JsonObject).set("tasks", shown));
  return { ...exchange.new, body: { json } };
}

/** Returns the name of the first rule that explains a difference. */
export const ruleFor = (difference: Difference, exchange: Exchange, facts: Facts): string | undefined =>
  rules.find((rule) => rule.explains(difference, exchange, facts))?.name;
