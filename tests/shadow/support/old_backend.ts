/** A simulation of the old backend: this API with the differences that the rules of the shadow tool explain. */
import { type Json, type JsonObject, parseJson, stringifyJson } from "../../../json.ts";
import { unquote } from "../../../routes/v1/query.ts";
import { type Alteration, createAnswer, type PassingRequest } from "./altered.ts";

/** How the simulated backend behaves. */
export interface OldBackendWays {
  /** Valid token. */
  token: string;
  /** Ids of tasks that are counted but not shown. */
  hiddenTasks?: ReadonlySet<string>;
  /** Called after a task was read. The old backend completes some tasks then. */
  afterRead?(id: string): Promise<void>;
}

const broken = () => createAnswer(500, "Internal Server Error");
const patterns = [
  "/openapi.json",
  "/docs",
  "/redoc",
  "/health",
  "/api/v1/auth/login",
  "/api/v1/users/me",
  "/api/v1/users/[^/]+",
  "/api/v1/users/",
  "/api/v1/tasks",
  "/api/v1/tasks/[^/]+",
  "/api/v1/tasks/[^/]+/cancel",
  "/api/v1/tasks/[^/]+/matrix",
].map((path) => new RegExp(`^${path}\\n?$`));
const isKnown = (path: string) => patterns.some((pattern) => pattern.test(path));

/** Encodes a URL for a Location header as Starlette does: `%` and some other characters stay. */
const quoteLocation = (text: string) =>
  text.toWellFormed().replace(/[^\w.~:/%#?=@[\]!$&'()*+,;-]/gu, (letter) => encodeURIComponent(letter));

/** Answers with Starlette's redirect: it decodes the path, and then adds or removes the last slash. */
function redirect({ url, path }: PassingRequest) {
  const decoded = unquote(path);
  if (isKnown(decoded) || decoded === "/") return undefined;
  const to = decoded.endsWith("/") ? decoded.replace(/\/+$/, "") : `${decoded}/`;
  if (!isKnown(to)) return undefined;
  return createAnswer(307, "", { location: quoteLocation(url.origin + to + url.search) });
}

const objectAt = (value: Json | undefined, key: string): JsonObject | undefined => {
  const found = value instanceof Map ? value.get(key) : undefined;
  return found instanceof Map ? found : undefined;
};

/** Removes hidden tasks from lists. */
function hideTasks(json: Json, hiddenTasks: ReadonlySet<string>): void {
  const data = objectAt(json, "data");
  const tasks = data?.get("tasks");
  if (!Array.isArray(tasks)) return;
  data!.set(
    "tasks",
    tasks.filter((task) => !(task instanceof Map && hiddenTasks.has(String(task.get("id"))))),
  );
}

/** Reports a task as completed if all its subtasks failed. */
function completeFailed(json: Json): void {
  const task = objectAt(json, "data");
  const subtasks = task?.get("dramatiq_tasks");
  const isFailed = Array.isArray(subtasks) && subtasks.length > 0 &&
    subtasks.every((one) => one instanceof Map && one.get("status") === "failed");
  if (isFailed) task!.set("status", "completed");
}

/** Returns the alterations for a proxy in front of this API. */
export function playOldBackend({ token, hiddenTasks = new Set(), afterRead }: OldBackendWays): Alteration {
  return {
    before(request) {
      const { method, path, headers } = request;
      const away = redirect(request);
      if (away) return away;
      if (method !== "GET") return undefined;
      const decoded = unquote(path);
      const id = /^\/api\/v1\/tasks\/([^/]+)(\/matrix)?$/.exec(decoded)?.[1];
      const isList = decoded === "/api/v1/tasks" && /^bearer/i.test(headers.get("authorization") ?? "");
      if (id !== undefined || isList) headers.set("authorization", `Bearer ${token}`);
      if (id !== undefined && hiddenTasks.has(id)) {
        return createAnswer(404, '{"detail":"任务不存在"}');
      }
      return undefined;
    },
    async after({ method, url, path }, answer) {
      const decoded = unquote(path);
      const { searchParams } = url;
      if (/%2f/i.test(path) && !isKnown(decoded)) {
        Object.assign(answer, { status: 404, text: '{"detail":"Not Found"}' });
      }
      const isOddId = /^\/api\/v1\/users\/[^/]+$/.test(decoded) && !/\/([0-9a-fA-F]{24}|me)$/.test(decoded);
      const isOddNumber = answer.status === 422 &&
        /"(skip|limit|page|page_size)".*"input":"-?\d+"/.test(answer.text) &&
        (["skip", "limit"].some((name) => Number(searchParams.getAll(name).at(-1)) < 0) ||
          /"input":"-?\d{19,}"/.test(answer.text));
      // The old backend runs the expression only if the request is valid.
      const isExpression = answer.status === 200 && decoded === "/api/v1/tasks" &&
        (searchParams.getAll("task_name").at(-1) ?? "").includes("(");
      if (isOddId && [200, 404].includes(answer.status) || isOddNumber || isExpression) {
        Object.assign(answer, broken());
      }
      const id = /^\/api\/v1\/tasks\/([^/]+)$/.exec(decoded)?.[1];
      if (method === "GET" && answer.status === 200 && id !== undefined) {
        const json = parseJson(answer.text);
        completeFailed(json);
        answer.text = stringifyJson(json);
        await afterRead?.(id);
      }
      if (answer.status !== 200 || decoded !== "/api/v1/tasks" || !answer.text.startsWith("{")) return;
      const json = parseJson(answer.text);
      hideTasks(json, hiddenTasks);
      answer.text = stringifyJson(json);
    },
  };
}
