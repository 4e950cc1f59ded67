/** The client of the image API, which is asynchronous: creates a remote job and polls it until it has ended. */
import type { Http, HttpResult } from "../../http.ts";

/** Address and credentials of a backend, and the limits of a call. */
export interface ImageApi {
  http: Http;
  /** `http://host/prefix`, with or without a slash at the end. */
  baseUrl: string;
  token: string;
  signal?: AbortSignal;
  timeoutMs?: number;
}

/** The result of creating a job. `reason` is a text for people, stored in the subtask's `error`. */
export type CreateResult =
  | { kind: "job"; id: string }
  | { kind: "illegal"; reason: string }
  | { kind: "error"; reason: string; retryAfterMs?: number };

/**
 * The result of a poll. `empty` is a finished job without an image. `unreadable` is an HTTP error or an
 * answer that is not JSON; it counts as a poll and ends nothing. `failure` includes unknown statuses.
 */
export type PollResult =
  | { kind: "pending" }
  | { kind: "done"; url: string }
  | { kind: "empty" }
  | { kind: "timeout"; reason: string }
  | { kind: "illegal"; reason: string }
  | { kind: "failure"; reason: string }
  | { kind: "unreadable"; reason: string };

const answerBytesMax = 1024 * 1024;
// The timeout is long, because a job may be created and paid for although its answer is lost.
const createTimeoutMs = 120_000;
const pollTimeoutMs = 30_000;
const idLengthMax = 256;
const urlLengthMax = 8192;
const retryAfterMsMax = 10 * 60_000;

const join = (baseUrl: string, path: string): string => baseUrl.replace(/\/+$/, "") + path;

type Answer = Extract<HttpResult, { kind: "answer" }>;

function describeFailedCall(result: Exclude<HttpResult, Answer>): string {
  if (result.kind === "slow") return "图像接口没有及时回应";
  return result.kind === "too_large" ? "图像接口的回应过大" : `无法连接图像接口 (${result.reason})`;
}

function parseAnswer(text: string): { json: unknown } | undefined {
  try {
    return { json: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** Parses the header `retry-after`, which holds seconds or a date. */
function readRetryAfter(headers: Headers): number | undefined {
  const text = headers.get("retry-after")?.trim() ?? "";
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) && ms > 0 ? Math.min(ms, retryAfterMsMax) : undefined;
}

/** Returns a job's id if it can be part of a URL path and stored in a column. */
function readId(value: unknown): string | undefined {
  const text = Number.isSafeInteger(value) ? String(value) : value;
  if (typeof text !== "string" || text.length > idLengthMax) return undefined;
  const id = text.trim();
  // deno-lint-ignore no-control-regex
  return id === "" || /^\.+$/.test(id) || /[\x00-\x1f\x7f]/.test(id) || !id.isWellFormed() ? undefined : id;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Finds the job's id in an answer: the answer itself, its `uuid`, `task_uuid`, `id` or `task_id`, or one of
 * these within its `data`.
 *
 * @example
 * ```ts
 * import { findJobId } from "./api.ts";
 * if (findJobId({ data: { task_id: "a" } }) !== "a") throw new Error("an id within data");
 * if (findJobId({ ok: true }) !== undefined) throw new Error("no id");
 * ```
 */
export function findJobId(answer: unknown): string | undefined {
  if (!isRecord(answer)) return readId(answer);
  for (const object of [answer, answer.data]) {
    if (!isRecord(object)) continue;
    for (const key of ["uuid", "task_uuid", "id", "task_id"]) {
      const id = readId(object[key]);
      if (id !== undefined) return id;
    }
  }
}

/**
 * Creates a job. This call is charged.
 *
 * @param body JSON text from `buildImageRequest`
 * @throws the reason of `signal` once it is aborted
 */
export async function createJob(
  { http, baseUrl, token, signal, timeoutMs = createTimeoutMs, body }: ImageApi & { body: string },
): Promise<CreateResult> {
  const result = await http({
    method: "POST",
    url: join(baseUrl, "/v3/make_image"),
    headers: { "content-type": "application/json", "accept": "application/json", "x-token": token },
    body,
    timeoutMs,
    bodyBytesMax: answerBytesMax,
    ...(signal ? { signal } : {}),
  });
  if (result.kind !== "answer") return { kind: "error", reason: describeFailedCall(result) };
  if (result.status === 451) return { kind: "illegal", reason: "内容不合规 (HTTP 451)" };
  if (result.status < 200 || result.status > 299) {
    const retryAfterMs = readRetryAfter(result.headers);
    const reason = `图像接口返回 HTTP ${result.status}`;
    return { kind: "error", reason, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  }
  const parsed = parseAnswer(result.text);
  if (!parsed) return { kind: "error", reason: "图像接口的回应不是 JSON" };
  const id = findJobId(parsed.json);
  return id === undefined ? { kind: "error", reason: "图像接口没有给出任务编号" } : { kind: "job", id };
}

/** Returns the URL of an artifact unchanged if it is a valid http or https URL. */
function readImageUrl(artifact: unknown): string | undefined {
  const url = isRecord(artifact) ? artifact.url : undefined;
  if (typeof url !== "string" || url.length > urlLengthMax || !/^https?:\/\//i.test(url)) return undefined;
  // deno-lint-ignore no-control-regex
  return URL.canParse(url) && url.isWellFormed() && !/[\x00-\x20\x7f]/.test(url) ? url : undefined;
}

function judgePoll(answer: Record<string, unknown>): PollResult {
  switch (answer.task_status) {
    case "PENDING":
      return { kind: "pending" };
    case "SUCCESS": {
      const url = readImageUrl(Array.isArray(answer.artifacts) ? answer.artifacts[0] : undefined);
      return url === undefined ? { kind: "empty" } : { kind: "done", url };
    }
    case "TIMEOUT":
      return { kind: "timeout", reason: "图像接口返回 TIMEOUT" };
    case "ILLEGAL_IMAGE":
      return { kind: "illegal", reason: "内容不合规 (ILLEGAL_IMAGE)" };
    default:
      return { kind: "failure", reason: "图像接口返回 FAILURE" };
  }
}

/**
 * Polls a job once.
 *
 * @throws the reason of `signal` once it is aborted
 */
export async function pollJob(
  { http, baseUrl, token, signal, timeoutMs = pollTimeoutMs, id }: ImageApi & { id: string },
): Promise<PollResult> {
  const result = await http({
    method: "GET",
    url: join(baseUrl, `/v1/artifact/task/${encodeURIComponent(id)}`),
    headers: { "accept": "application/json", "x-token": token },
    timeoutMs,
    bodyBytesMax: answerBytesMax,
    ...(signal ? { signal } : {}),
  });
  if (result.kind !== "answer") return { kind: "unreadable", reason: describeFailedCall(result) };
  if (result.status < 200 || result.status > 299) {
    return { kind: "unreadable", reason: `图像接口返回 HTTP ${result.status}` };
  }
  const parsed = parseAnswer(result.text);
  return parsed && isRecord(parsed.json)
    ? judgePoll(parsed.json)
    : { kind: "unreadable", reason: "图像接口的回应不是 JSON" };
}
