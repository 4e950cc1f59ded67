/** The differences that are meant: each row of the contract's last table, by a name and a test of its own. */
import { type Json, JsonNumber, type JsonObject, parseJson } from "../../json.ts";
import type { Difference } from "./compare.ts";
import { headerOf, routeOf, type Step } from "./request.ts";
import { type Answer, pointer } from "./side.ts";

/** What is known of the data before the first request. */
export interface Facts {
  /** Ids that the old backend counts but never lists. */
  hidden: ReadonlySet<string>;
  /** Ids of tasks whose subtasks all failed, which the old backend turns to completed. */
  turned: ReadonlySet<string>;
}

export interface Exchange {
  step: Step;
  old: Answer;
  new: Answer;
}

export interface Rule {
  name: string;
  /** What is different now, for the report. */
  now: string;
  explains(difference: Difference, exchange: Exchange, facts: Facts): boolean;
}

const ids = (exchange: Exchange) => routeOf(exchange.step);
const isOn = (exchange: Exchange, ...routes: string[]) => routes.includes(ids(exchange));
const turns = ({ old, new: now }: Exchange, was: number | number[], is: number) =>
  [was].flat().includes(old.status) && now.status === is;

const taskReads = ["GET /api/v1/tasks/{id}", "GET /api/v1/tasks/{id}/matrix"];
const userById = ["GET", "PUT", "DELETE"].map((method) => `${method} /api/v1/users/{id}`);

/** The value of a query's name: the last one counts. */
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

function some(value: Json, test: (value: Json) => boolean): boolean {
  if (test(value)) return true;
  const inside = Array.isArray(value) ? value : value instanceof Map ? [...value.values()] : [];
  return inside.some((item) => some(item, test));
}

const isWide = (text: string): boolean =>
  /^\s*[-+]?[\d_]+(\.0+)?\s*$/.test(text) && Math.abs(Number(text.replaceAll("_", ""))) >= 2 ** 63;

/** A token that both backends take: one of their own, put in where a placeholder stands, after one space. */
const hasToken = (step: Step): boolean =>
  /^bearer \$\{[^}]+\}$/i.test(headerOf(step, "authorization")?.trim() ?? "");

const detailText = (answer: Answer): Json | undefined => pointer(answer, "/detail");

const allFailed = (answer: Answer): boolean => {
  const subtasks = pointer(answer, "/data/dramatiq_tasks");
  return Array.isArray(subtasks) && subtasks.length > 0 &&
    subtasks.every((subtask) => fieldOf(subtask, "status") === "failed");
};

/** The item of a list that a path leads into. */
const itemAt = (answer: Answer, path: string): Json | undefined =>
  pointer(answer, path.split("/").slice(0, 4).join("/"));

/** Whether a query asks for one of the two statuses without the other, so that a turned task changes the list. */
function partsTurned(step: Step): boolean {
  const statuses = (queryOf(step, "status") ?? "").split(",");
  return statuses.includes("completed") !== statuses.includes("failed");
}

/** Both lists, and every name in the new one holds the text that was asked for. */
function holdsSubstring({ step, new: now }: Exchange): boolean {
  const wanted = (queryOf(step, "task_name") ?? "").toLowerCase();
  const tasks = pointer(now, "/data/tasks");
  return Array.isArray(tasks) &&
    tasks.every((task) => String(fieldOf(task, "task_name")).toLowerCase().includes(wanted));
}

/** Rules that change what is compared, by the names under which they are counted. */
export const slashRule = "both slash forms are answered directly";
export const hiddenRule = "first generations are listed and readable";

export const rules: Rule[] = [
  {
    name: "cancel stops subtasks",
    now: "pending subtasks become cancelled and never run",
    explains: ({ path, old, new: now }, exchange) =>
      isOn(exchange, "GET /api/v1/tasks/{id}") && /^\/data\/dramatiq_tasks\/\d+\/status$/.test(path) &&
      ['"pending"', '"processing"'].includes(old) && now === '"cancelled"' &&
      pointer(exchange.new, "/data/status") === "cancelled",
  },
  {
    name: "failed stays failed",
    now: "reading a task whose subtasks all failed does not turn it to completed",
    explains: ({ path, old, new: now }, exchange, { turned }) => {
      const isTurn = old === '"completed"' && now === '"failed"';
      if (isOn(exchange, "GET /api/v1/tasks/{id}")) {
        return path === "/data/status" && isTurn && allFailed(exchange.new);
      }
      if (!isOn(exchange, "GET /api/v1/tasks") || !path.startsWith("/data/t")) return false;
      const id = fieldOf(itemAt(exchange.new, path), "id");
      if (path.endsWith("/status") && isTurn && typeof id === "string") return turned.has(id);
      return turned.size > 0 && partsTurned(exchange.step);
    },
  },
  {
    name: "variable tag without variable",
    now: "422 before anything is stored",
    explains: ({ kind }, exchange) => {
      const tags = fieldOf(bodyOf(exchange.step), "tags");
      return kind === "status" && isOn(exchange, "POST /api/v1/tasks") && turns(exchange, 500, 422) &&
        Array.isArray(tags) &&
        tags.some((tag) => ![undefined, null, false].includes(fieldOf(tag, "isVariable") as null));
    },
  },
  {
    name: "malformed user id",
    now: "404",
    explains: ({ kind }, exchange) =>
      kind === "status" && isOn(exchange, ...userById) && turns(exchange, 500, 404) &&
      !/^[0-9a-f]{24}$/i.test(lastSegment(exchange.step)),
  },
  {
    name: "task_name is plain text",
    now: "a substring, no regular expression",
    explains: ({ kind, path }, exchange) =>
      isOn(exchange, "GET /api/v1/tasks") &&
      /[\\^$.|?*+()[\]{}]/.test(queryOf(exchange.step, "task_name") ?? "") &&
      (kind === "status" ? turns(exchange, 500, 200) : path.startsWith("/data/t")) &&
      holdsSubstring(exchange),
  },
  {
    name: "results.raw has a key for each subtask",
    now: "the old backend kept one key for all",
    explains: ({ path }, exchange) =>
      isOn(exchange, "GET /api/v1/tasks/{id}") && /^\/data\/results\/raw(\/|$)/.test(path),
  },
  {
    name: "detail and matrix want a token",
    now: "401, unless PUBLIC_TASK_READS=true",
    explains: ({ kind }, exchange) =>
      kind === "status" && isOn(exchange, ...taskReads) && turns(exchange, [200, 404, 500], 401) &&
      !hasToken(exchange.step),
  },
  {
    name: "bad token on the list",
    now: "401, as every other call",
    explains: ({ kind }, exchange) =>
      kind === "status" && isOn(exchange, "GET /api/v1/tasks") && turns(exchange, [200, 422, 500], 401) &&
      headerOf(exchange.step, "authorization") !== undefined && !hasToken(exchange.step) &&
      detailText(exchange.new) === "无效的认证凭据",
  },
  {
    name: hiddenRule,
    now: "by task_uuid; the old backend only counted them",
    // In lists they were taken out before (see withoutHidden), and the rest was compared.
    explains: ({ kind }, exchange, { hidden }) => {
      const id = pointer(exchange.new, "/data/id") ?? pointer(exchange.new, "/data/task_id");
      return isOn(exchange, ...taskReads) && kind === "status" && turns(exchange, 404, 200) &&
        typeof id === "string" && hidden.has(id);
    },
  },
  {
    name: "users: gone or taken",
    now: "404 and 400, never 500",
    explains: ({ kind }, exchange) =>
      kind === "status" &&
      (isOn(exchange, "DELETE /api/v1/users/{id}") && turns(exchange, 500, 404) ||
        isOn(exchange, "POST /api/v1/users/") && turns(exchange, 500, 400)),
  },
  {
    name: slashRule,
    now: "no redirect; what the old backend answers there is compared instead",
    // Its redirect was followed before (see isSlashRedirect); one that stays unfollowed is not explained.
    explains: () => false,
  },
  {
    name: "numbers the old backend failed on",
    now: "422: skip=-1, past 64 bits, NaN, a concurrency that is no number",
    explains: ({ kind }, exchange) => {
      if (kind !== "status" || !turns(exchange, 500, 422) || !Array.isArray(detailText(exchange.new))) {
        return false;
      }
      const values = ["skip", "limit", "page", "page_size"].map((name) => queryOf(exchange.step, name) ?? "");
      if (values.some(isWide) || Number(values[0]) < 0 || Number(values[1]) < 0) return true;
      const body = bodyOf(exchange.step);
      if (body === undefined) return false;
      const concurrency = fieldOf(fieldOf(body, "settings"), "concurrency");
      return some(body, (value) => value instanceof JsonNumber && !(Math.abs(value.value) < 2 ** 63)) ||
        concurrency !== undefined && !(concurrency instanceof JsonNumber);
    },
  },
  {
    name: "sign-in is throttled",
    now: "429 after many tries: more tries than the throttle lets through tell nothing",
    explains: ({ kind }, exchange) =>
      kind === "status" && isOn(exchange, "POST /api/v1/auth/login") && exchange.new.status === 429,
  },
];

/** True for a redirect to the same path with or without its slash, which the new backend answers directly. */
export function isSlashRedirect(exchange: Exchange): boolean {
  const { step, old, new: now } = exchange;
  if (![307, 308].includes(old.status) || [307, 308].includes(now.status)) return false;
  const location = old.headers.get("location") ?? "";
  const to = URL.canParse(location) ? new URL(location).pathname : location.split("?")[0]!;
  return decode(to) === decode(withOtherSlash(step.path));
}

/** A path in the form in which two spellings of it meet. */
function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** `/a` for `/a/` and `/a//`, `/a/` for `/a`. */
export const withOtherSlash = (path: string): string =>
  path.endsWith("/") ? path.replace(/\/+$/, "") : `${path}/`;

/** The new backend's page without the tasks that the old one cannot show; undefined when it has none. */
export function withoutHidden(exchange: Exchange, { hidden }: Facts): Answer | undefined {
  const body = exchange.new.body;
  const data = pointer(exchange.new, "/data");
  const tasks = fieldOf(data, "tasks");
  if (!isOn(exchange, "GET /api/v1/tasks") || !body || !("json" in body) || !Array.isArray(tasks)) {
    return undefined;
  }
  const shown = tasks.filter((task) => !hidden.has(String(fieldOf(task, "id"))));
  if (shown.length === tasks.length) return undefined;
  const json = new Map(body.json as JsonObject);
  json.set("data", new Map(data as JsonObject).set("tasks", shown));
  return { ...exchange.new, body: { json } };
}

/** The first rule that explains a difference. */
export const ruleFor = (difference: Difference, exchange: Exchange, facts: Facts): string | undefined =>
  rules.find((rule) => rule.explains(difference, exchange, facts))?.name;
