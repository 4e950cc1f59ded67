/** The tasks' calls of v1. */
import { findTaskVersion, getTaskJson, listTasks } from "../../db/v1/tasks.ts";
import { openTaskDetail } from "../../db/v1/detail.ts";
import { openTaskMatrix } from "../../db/v1/matrix.ts";
import { cancelTask, deleteTask } from "../../jobs/moves/cancel.ts";
import { submitTask } from "../../jobs/moves/submit.ts";
import { answer, answerStream, type Call, type SignedCall } from "./call.ts";
import { Faults, readInt } from "./pydantic.ts";
import { Refusal, Rejection } from "./refusal.ts";
import { readNewTask } from "./task_body.ts";

const unknownTask = () => new Refusal(404, "任务不存在");
const pageSizeMax = 100;
const pageSizeDefault = 10n;
/** The last page that can hold a task; later ones are empty, and counted without an overflow. */
const pageMax = 10n ** 12n;

/** `GET /tasks` */
export async function readTasks({ deps: { sql }, query }: Call): Promise<Response> {
  const faults = new Faults();
  const given = (name: string, standard: bigint, range: { ge: number; le?: number }) => {
    const text = query.get(name);
    return text === undefined ? standard : readInt(text, ["query", name], faults, range);
  };
  const page = given("page", 1n, { ge: 1 });
  const pageSize = given("page_size", pageSizeDefault, { ge: 1, le: pageSizeMax });
  if (page === undefined || pageSize === undefined) throw new Rejection(faults.list);
  const [status = "", username = "", taskName = ""] = ["status", "username", "task_name"]
    .map((name) => query.get(name));
  // No row holds a NUL, and PostgreSQL takes none.
  if ([status, username, taskName].some((text) => text.includes("\0"))) {
    return answer("success", `{"tasks":[],"total":0,"page":${page},"page_size":${pageSize}}`);
  }
  const data = await listTasks(sql, {
    statuses: status === "" ? [] : status.split(","),
    username,
    taskName,
    page: Number(page > pageMax ? pageMax : page),
    pageSize: Number(pageSize),
  });
  return answer("success", page > pageMax ? data.replace(`"page":${pageMax},`, `"page":${page},`) : data);
}

/** A weak ETag that changes with every change of a task or its subtasks. */
const versionTag = (id: string, version: string) => `W/"${id.slice(0, 8)}-${version}"`;

/** True when one of the tags that the client holds is this one; `*` says nothing about a version. */
function isHeld(request: Request, tag: string): boolean {
  const held = request.headers.get("if-none-match");
  return held !== null && held.split(",").some((part) => part.trim().replace(/^(W\/)?/, "W/") === tag);
}

async function readVersioned(
  { deps: { sql }, request, id }: Call,
  open: typeof openTaskMatrix,
): Promise<Response> {
  // The version is read before the data: data newer than its tag is asked for again, never kept too long.
  const version = await findTaskVersion(sql, id);
  if (!version) throw unknownTask();
  const etag = versionTag(id, version);
  if (isHeld(request, etag)) return new Response(null, { status: 304, headers: { etag } });
  const data = await open(sql, id);
  if (!data) throw unknownTask();
  return answerStream("success", data, { etag });
}

/** `GET /tasks/{id}` */
export const readTask = (call: Call): Promise<Response> => readVersioned(call, openTaskDetail);

/** `GET /tasks/{id}/matrix` */
export const readMatrix = (call: Call): Promise<Response> => readVersioned(call, openTaskMatrix);

/** `POST /tasks` */
export async function createTask({ deps: { sql, log }, user, body }: SignedCall): Promise<Response> {
  const { taskName, tags, variables, settings } = readNewTask(body);
  const { id, email } = user;
  const task = await submitTask({ sql, log }, { user: { id, email }, taskName, tags, variables, settings });
  return answer("任务创建成功", await getTaskJson(sql, task.id, task.total_images));
}

/** `POST /tasks/{id}/cancel`: one that has ended stays as it is, and the answer is the same. */
export async function cancelOwnTask({ deps: { sql, log }, user, id }: SignedCall): Promise<Response> {
  const outcome = await cancelTask({ sql, log }, { taskId: id, userId: user.id });
  if (outcome === "not_found") throw unknownTask();
  if (outcome === "forbidden") throw new Refusal(403, "无权限取消此任务");
  return answer("任务已取消", "null");
}

/** `DELETE /tasks/{id}` */
export async function deleteOwnTask({ deps: { sql, log }, user, id }: SignedCall): Promise<Response> {
  const outcome = await deleteTask({ sql, log }, { taskId: id, userId: user.id });
  if (outcome === "not_found") throw unknownTask();
  if (outcome === "forbidden") throw new Refusal(403, "无权限删除此任务");
  return answer("任务已删除", "null");
}
