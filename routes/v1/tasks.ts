/** Handlers of v1's task routes. */
import { getTaskJson, listTasks } from "../../db/v1/tasks.ts";
import { findTaskVersion } from "../../db/queue/revisions.ts";
import { openTaskDetail } from "../../db/v1/detail.ts";
import { openTaskMatrix } from "../../db/v1/matrix.ts";
import { findTaskUuid } from "../../db/v1/task_ids.ts";
import { cancelTask, deleteTask } from "../../jobs/moves/cancel.ts";
import { submitTask } from "../../jobs/moves/submit.ts";
import { type AuthenticatedCall, type Call, respond, respondStream } from "./call.ts";
import { Faults, readInt } from "./pydantic.ts";
import { HttpError, ValidationError } from "./http_error.ts";
import { readNewTask } from "./task_body.ts";

const taskNotFound = () => new HttpError(404, "任务不存在");
const pageSizeMax = 100;
const pageSizeDefault = 10n;

/** `GET /tasks` */
export async function readTasks({ deps: { sql }, query }: Call): Promise<Response> {
  const faults = new Faults();
  const readParameter = (name: string, defaultValue: bigint, range: { ge: number; le?: number }) => {
    const text = query.get(name);
    return text === undefined ? defaultValue : readInt(text, ["query", name], faults, range);
  };
  const page = readParameter("page", 1n, { ge: 1 });
  const pageSize = readParameter("page_size", pageSizeDefault, { ge: 1, le: pageSizeMax });
  if (page === undefined || pageSize === undefined) throw new ValidationError(faults.list);
  const [status = "", username = "", taskName = ""] = ["status", "username", "task_name"]
    .map((name) => query.get(name));
  // PostgreSQL rejects a NUL in a parameter, and no row contains one.
  if ([status, username, taskName].some((text) => text.includes("\0"))) {
    return respond("success", `{"tasks":[],"total":0,"page":${page},"page_size":${pageSize}}`);
  }
  const data = await listTasks(sql, {
    statuses: status === "" ? [] : status.split(","),
    username,
    taskName,
    page,
    pageSize: Number(pageSize),
  });
  return respond("success", data);
}

/** Returns the UUID of the task with the id in the path. @throws HttpError 404 */
async function getTaskUuid({ deps: { sql }, id }: Call): Promise<string> {
  const uuid = await findTaskUuid(sql, id);
  if (uuid === undefined) throw taskNotFound();
  return uuid;
}

/** Returns a weak ETag that changes with every change of the task or its subtasks. */
const versionTag = (uuid: string, version: string) => `W/"${uuid.slice(0, 8)}-${version}"`;

/** Reports whether `If-None-Match` lists the tag. `*` does not match, because it names no version. */
function matchesIfNoneMatch(request: Request, tag: string): boolean {
  const header = request.headers.get("if-none-match");
  return header !== null && header.split(",").some((part) => part.trim().replace(/^(W\/)?/, "W/") === tag);
}

async function readVersioned(call: Call, open: typeof openTaskMatrix): Promise<Response> {
  const { deps: { sql }, request } = call;
  const uuid = await getTaskUuid(call);
  // The version is read before the data, so that a client never keeps data that is older than its tag.
  const version = await findTaskVersion(sql, uuid);
  if (!version) throw taskNotFound();
  const etag = versionTag(uuid, version);
  if (matchesIfNoneMatch(request, etag)) return new Response(null, { status: 304, headers: { etag } });
  const data = await open(sql, uuid);
  if (!data) throw taskNotFound();
  return respondStream("success", data, { etag });
}

/** `GET /tasks/{id}` */
export const readTask = (call: Call): Promise<Response> => readVersioned(call, openTaskDetail);

/** `GET /tasks/{id}/matrix` */
export const readMatrix = (call: Call): Promise<Response> => readVersioned(call, openTaskMatrix);

/** `POST /tasks` */
export async function createTask({ deps: { sql, log }, user, body }: AuthenticatedCall): Promise<Response> {
  const { taskName, tags, variables, settings } = readNewTask(body);
  const { id, email } = user;
  const task = await submitTask({ sql, log }, { user: { id, email }, taskName, tags, variables, settings });
  return respond("任务创建成功", await getTaskJson(sql, task.id, task.images_expected));
}

/** `POST /tasks/{id}/cancel`: a task that has ended does not change, and the response is the same. */
export async function cancelOwnTask(call: AuthenticatedCall): Promise<Response> {
  const { deps: { sql, log }, user } = call;
  const outcome = await cancelTask({ sql, log }, { taskId: await getTaskUuid(call), userId: user.id });
  if (outcome === "not_found") throw taskNotFound();
  if (outcome === "forbidden") throw new HttpError(403, "无权限取消此任务");
  return respond("任务已取消", "null");
}

/** `DELETE /tasks/{id}` */
export async function deleteOwnTask(call: AuthenticatedCall): Promise<Response> {
  const { deps: { sql, log }, user } = call;
  const outcome = await deleteTask({ sql, log }, { taskId: await getTaskUuid(call), userId: user.id });
  if (outcome === "not_found") throw taskNotFound();
  if (outcome === "forbidden") throw new HttpError(403, "无权限删除此任务");
  return respond("任务已删除", "null");
}
