/** The image API as the worker meets it: one call makes a job, another asks for it (EXECUTION.md «The image API»). */
import type { Http, HttpResult } from "../../http.ts";

/** Where jobs of one queue are made, and how the waiting for one call is bounded. */
export interface ImageApi {
  http: Http;
  /** `http://host/prefix`, with or without a slash at its end. */
  baseUrl: string;
  token: string;
  signal?: AbortSignal;
  timeoutMs?: number;
}

/** `reason` is for people: it goes into the subtask's `error`. */
export type CreateResult =
  | { kind: "job"; id: string }
  | { kind: "illegal"; reason: string }
  | { kind: "error"; reason: string; retryAfterMs?: number };

/**
 * What one poll said. `empty`: done, but without an image. `unreadable`: an HTTP error or no JSON, which counts as a
 * poll and ends nothing. `failure`: also every status that nobody knows.
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
// Given up late: a job may be made, and paid for, although its answer never came.
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

/** Seconds, or a date. */
function readRetryAfter(headers: Headers): number | undefined {
  const text = headers.get("retry-after")?.trim() ?? "";
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) && ms > 0 ? Math.min(ms, retryAfterMsMax) : undefined;
}

/** It becomes a part of a path and a column. */
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
 * The job's id: the answer itself, or its `uuid`, `task_uuid`, `id` or `task_id`, or one of these within `data`.
 *
 * @example
 * ```ts
 * import { findJobId } from "./api.ts";
 * if (findJobId({ data: { task_id: "a" } }) !== "a" || findJobId({ ok: true }) !== undefined) throw new Error();
 * ```
 */
export function findJobId(answer: unknown): string | undefined {
  if (!isRecord(answer)) return readId(answer);
  for (const place of [answer, answer.data]) {
    if (!isRecord(place)) continue;
    for (const key of ["uuid", "task_uuid", "id", "task_id"]) {
      const id = readId(place[key]);
      if (id !== undefined) return id;
    }
  }
}

/**
 * Makes a job: this is the call that costs money.
 *
 * @param body JSON text of `buildImageRequest`
 * @throws the reason of `signal` once that is aborted
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

/** The address of an image as it was given; only http and https are. */
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
 * Asks once how a job stands.
 *
 * @throws the reason of `signal` once that is aborted
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
