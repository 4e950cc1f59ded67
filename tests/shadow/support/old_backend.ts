/** A simulation of the old backend: this API with the differences that the rules of the shadow tool explain. */
import { type Json, type JsonObject, parseJson, stringifyJson } from "../../../json.ts";
import { type Alteration, createAnswer, type PassingRequest } from "./altered.ts";

export interface OldBackendState {
  /** Valid token. */
  token: string;
  /** Ids of tasks that are counted but not shown. */
  hiddenTasks: ReadonlySet<string>;
  /** Ids of failed tasks that are reported as completed. */
  misreportedTasks: ReadonlySet<string>;
}

const broken = () => createAnswer(500, "Internal Server Error");
const hasSlash = /^\/api\/v1\/(users\/[^/]+|tasks\/[^/]+(\/matrix|\/cancel)?|auth\/login)\/$/;

function redirect({ url }: PassingRequest) {
  const to = hasSlash.test(url.pathname)
    ? url.pathname.slice(0, -1)
    : url.pathname === "/api/v1/users"
    ? "/api/v1/users/"
    : undefined;
  return to && createAnswer(307, "", { location: url.origin + to + url.search });
}

const objectAt = (value: Json | undefined, key: string): JsonObject | undefined => {
  const found = value instanceof Map ? value.get(key) : undefined;
  return found instanceof Map ? found : undefined;
};

/** Removes hidden tasks from lists and reports misreported tasks as completed. */
function alterTasks(json: Json, { hiddenTasks, misreportedTasks }: OldBackendState): void {
  const data = objectAt(json, "data");
  const turn = (task: JsonObject) => {
    if (misreportedTasks.has(String(task.get("id")))) task.set("status", "completed");
  };
  if (!data) return;
  turn(data);
  const tasks = data.get("tasks");
  if (!Array.isArray(tasks)) return;
  const shown = tasks.filter((task): task is JsonObject =>
    task instanceof Map && !hiddenTasks.has(String(task.get("id")))
  );
  shown.forEach(turn);
  data.set("tasks", shown);
}

/** Returns the alterations for a proxy in front of this API. */
export function playOldBackend(ways: OldBackendState): Alteration {
  return {
    before(request) {
      const { method, url, headers } = request;
      const away = redirect(request);
      if (away) return away;
      if (method !== "GET") return undefined;
      const isDetail = /^\/api\/v1\/tasks\/[^/]+(\/matrix)?$/.test(url.pathname);
      const isList = /^\/api\/v1\/tasks\/?$/.test(url.pathname) &&
        /^bearer/i.test(headers.get("authorization") ?? "");
      if (isDetail || isList) headers.set("authorization", `Bearer ${ways.token}`);
      if (isDetail && ways.hiddenTasks.has(url.pathname.split("/")[4]!)) {
        return createAnswer(404, '{"detail":"任务不存在"}');
      }
      return undefined;
    },
    after({ url }, answer) {
      const { pathname, searchParams } = url;
      const isOddId = /^\/api\/v1\/users\/[^/]+$/.test(pathname) && !/\/([0-9a-fA-F]{24}|me)$/.test(pathname);
      const isOddNumber = answer.status === 422 &&
        /"(skip|limit|page|page_size)".*"input":"-?\d+"/.test(answer.text) &&
        (["skip", "limit"].some((name) => Number(searchParams.getAll(name).at(-1)) < 0) ||
          /"input":"-?\d{19,}"/.test(answer.text));
      // The old backend runs the expression only if the request is valid.
      const isExpression = answer.status === 200 && /^\/api\/v1\/tasks\/?$/.test(pathname) &&
        (searchParams.getAll("task_name").at(-1) ?? "").includes("(");
      if (isOddId && answer.status === 404 || isOddNumber || isExpression) Object.assign(answer, broken());
      if (
        answer.status !== 200 || !answer.text.startsWith("{") || !/^\/api\/v1\/tasks(\/|$)/.test(pathname)
      ) return;
      const json = parseJson(answer.text);
      alterTasks(json, ways);
      answer.text = stringifyJson(json);
    },
  };
}
