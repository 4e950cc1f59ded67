/** Rules for intended differences. Each has a name and a test, as in docs/shadow.md. */
import { type Json, JsonNumber, type JsonObject, parseJson } from "../../json.ts";
import type { Difference } from "./compare.ts";
import { headerOf, routeOf, type Step } from "./request.ts";
import { type Answer, valueAt } from "./side.ts";

/** Facts about the data that are read before the first request. */
export interface Facts {
  /** Ids of tasks that the old backend counts but does not list. */
  hiddenTasks: ReadonlySet<string>;
  /** Ids of tasks whose subtasks all failed and that the old backend reports as completed. */
  misreportedTasks: ReadonlySet<string>;
}

/** A request and both answers. */
export interface Exchange {
  step: Step;
  old: Answer;
  new: Answer;
}

/** A rule for one intended difference. */
export interface Rule {
  name: string;
  /** Description of the new backend's behaviour. */
  now: string;
  /** Reports whether the rule explains a difference. */
  explains(difference: Difference, exchange: Exchange, facts: Facts): boolean;
}

const routeName = (exchange: Exchange) => routeOf(exchange.step);
const isOn = (exchange: Exchange, ...routes: string[]) => routes.includes(routeName(exchange));
const changesStatus = ({ old, new: now }: Exchange, was: number | number[], is: number) =>
  [was].flat().includes(old.status) && now.status === is;

const taskReads = ["GET /api/v1/tasks/{id}", "GET /api/v1/tasks/{id}/matrix"];
const userById = ["GET", "PUT", "DELETE"].map((method) => `${method} /api/v1/users/{id}`);

/** Returns the last value of a query parameter, decoded. */
function queryOf({ query }: Step, name: string): string | undefined {
  const values = query.filter((part) => part.split("=")[0] === name);
  const text = values.at(-1)?.slice(name.length + 1);
  try {
    return text === undefined ? undefined : decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}

const lastSegment = ({ path }: Step): string => path.replace(/\/$/, "").split("/").at(-1)!;

function bodyOf({ body }: Step): Json | undefined {
  if (typeof body !== "string") return undefined;
  try {
    return parseJson(body);
  } catch {
    return undefined;
  }
}

const fieldOf = (value: Json | undefined, key: string): Json | undefined =>
  value instanceof Map ? value.get(key) : undefined;

/** Reports whether a value or a value inside it passes a test. */
function some(value: Json, test: (value: Json) => boolean): boolean {
  if (test(value)) return true;
  const inside = Array.isArray(value) ? value : value instanceof Map ? [...value.values()] : [];
  return inside.some((item) => some(item, test));
}

const exceedsInt64 = (text: string): boolean =>
  /^\s*[-+]?[\d_]+(\.0+)?\s*$/.test(text) && Math.abs(Number(text.replaceAll("_", ""))) >= 2 ** 63;

/** Reports whether a request has a token that both backends accept, as a placeholder after one space. */
const hasToken = (step: Step): boolean =>
  /^bearer \$\{[^}]+\}$/i.test(headerOf(step, "authorization")?.trim() ?? "");

const detailText = (answer: Answer): Json | undefined => valueAt(answer, "/detail");

const allFailed = (answer: Answer): boolean => {
  const subtasks = valueAt(answer, "/data/dramatiq_tasks");
  return Array.isArray(subtasks) && subtasks.length > 0 &&
    subtasks.every((subtask) => fieldOf(subtask, "status") === "failed");
};

/** Returns the list item that a path points into. */
const itemAt = (answer: Answer, path: string): Json | undefined =>
  valueAt(answer, path.split("/").slice(0, 4).join("/"));

/** Reports whether a status filter has only one of `completed` and `failed`, so that misreported tasks change the list. */
function splitsMisreportedTasks(step: Step): boolean {
  const statuses = (queryOf(step, "status") ?? "").split(",");
  return statuses.includes("completed") !== statuses.includes("failed");
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
    name: "failed tasks stay failed",
    now: "reading a task whose subtasks all failed does not change it to completed",
    explains: ({ path, old, new: now }, exchange, { misreportedTasks }) => {
      const isMisreport = old === '"completed"' && now === '"failed"';
      if (isOn(exchange, "GET /api/v1/tasks/{id}")) {
        return path === "/data/status" && isMisreport && allFailed(exchange.new);
      }
      if (!isOn(exchange, "GET /api/v1/tasks") || !path.startsWith("/data/t")) return false;
      const id = fieldOf(itemAt(exchange.new, path), "id");
      if (path.endsWith("/status") && isMisreport && typeof id === "string") return misreportedTasks.has(id);
      return misreportedTasks.size > 0 && splitsMisreportedTasks(exchange.step);
    },
  },
  {
    name: "variable tag without variable",
    now: "422, and nothing is stored",
    explains: ({ kind }, exchange) => {
      const tags = fieldOf(bodyOf(exchange.step), "tags");
      return kind === "status" && isOn(exchange, "POST /api/v1/tasks") && changesStatus(exchange, 500, 422) &&
        Array.isArray(tags) &&
        tags.some((tag) => ![undefined, null, false].includes(fieldOf(tag, "isVariable") as null));
    },
  },
  {
    name: "malformed user id",
    now: "404",
    explains: ({ kind }, exchange) =>
      kind === "status" && isOn(exchange, ...userById) && changesStatus(exchange, 500, 404) &&
      !/^[0-9a-f]{24}$/i.test(lastSegment(exchange.step)),
  },
  {
    name: "task_name is plain text",
    now: "a substring, not a regular expression",
    explains: ({ kind, path }, exchange) =>
      isOn(exchange, "GET /api/v1/tasks") &&
      /[\\^$.|?*+()[\]{}]/.test(queryOf(exchange.step, "task_name") ?? "") &&
      (kind === "status" ? changesStatus(exchange, 500, 200) : path.startsWith("/data/t")) &&
      holdsSubstring(exchange),
  },
  {
    name: "results.raw has a key for each subtask",
    now: "the old backend has one key for all subtasks",
    explains: ({ path }, exchange) =>
      isOn(exchange, "GET /api/v1/tasks/{id}") && /^\/data\/results\/raw(\/|$)/.test(path),
  },
  {
    name: "detail and matrix require a token",
    now: "401, unless PUBLIC_TASK_READS=true",
    explains: ({ kind }, exchange) =>
      kind === "status" && isOn(exchange, ...taskReads) && changesStatus(exchange, [200, 404, 500], 401) &&
      !hasToken(exchange.step),
  },
  {
    name: "invalid token on the task list",
    now: "401, as on every other route",
    explains: ({ kind }, exchange) =>
      kind === "status" && isOn(exchange, "GET /api/v1/tasks") &&
      changesStatus(exchange, [200, 422, 500], 401) &&
      headerOf(exchange.step, "authorization") !== undefined && !hasToken(exchange.step) &&
      detailText(exchange.new) === "无效的认证凭据",
  },
  {
    name: hiddenRule,
    now: "under their task_uuid; the old backend only counts them",
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
    now: "the answer itself; the old backend's redirect is followed before the comparison",
    // The redirect is followed before the comparison, see isSlashRedirect. Other redirects are not explained.
    explains: () => false,
  },
  {
    name: "numbers that the old backend failed on",
    now: "422 for skip=-1, numbers beyond 64 bits, NaN, and a concurrency that is not a number",
    explains: ({ kind }, exchange) => {
      if (
        kind !== "status" || !changesStatus(exchange, 500, 422) || !Array.isArray(detailText(exchange.new))
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

/** Reports whether the old backend redirects to the same path with or without a slash, and the new one does not. */
export function isSlashRedirect(exchange: Exchange): boolean {
  const { step, old, new: now } = exchange;
  if (![307, 308].includes(old.status) || [307, 308].includes(now.status)) return false;
  const location = old.headers.get("location") ?? "";
  const to = URL.canParse(location) ? new URL(location).pathname : location.split("?")[0]!;
  return decodePath(to) === decodePath(withOtherSlash(step.path));
}

/** Decodes a path, so that its spellings compare equal. */
function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** Returns `/a` for `/a/` and `/a//`, and `/a/` for `/a`. */
export const withOtherSlash = (path: string): string =>
  path.endsWith("/") ? path.replace(/\/+$/, "") : `${path}/`;

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
