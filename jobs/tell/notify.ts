/** Sends the due notices of the outbox to all URLs, and repeats failed deliveries. */
import type { Sql } from "../../db/pg/connect.ts";
import { claimDueNotices, closeDueNotices, type DueNotice, saveNotice } from "../../db/queue/outbox.ts";
import type { Log } from "../../log.ts";
import type { Http } from "../../http.ts";
import { type Notice, noticeBody } from "./notify_text.ts";

export interface NotifyDeps {
  sql: Sql;
  log: Log;
  http: Http;
  urls: string[];
}

const timeoutMs = 5_000;
/** Time for which a claimed notice is not due for other senders. It is longer than a try takes. */
const claimMs = 60_000;
const triesMax = 12;
const retryAfterMs = (tries: number): number => Math.min(1_000 * 2 ** (tries - 1), 300_000);

function toNotice(due: DueNotice): Notice {
  const { task_id: taskId, task_name: taskName, username, at, total, completed, failed, cancelled } = due;
  const task = { taskId, taskName, username, at };
  const counts = { total, completed, failed, cancelled };
  if (due.kind === "submitted") {
    return { ...task, kind: due.kind, cells: total, imagesExpected: due.images_expected };
  }
  return due.kind === "held"
    ? { ...task, kind: due.kind, counts, reason: due.hold_reason }
    : { ...task, kind: due.kind, counts, tookMs: due.took_ms };
}

async function hashOf(url: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(url));
  return new Uint8Array(bytes).toHex().slice(0, 16);
}

/** @returns the reason of the failure, or undefined after success */
async function sendOne({ http }: NotifyDeps, url: string, body: string): Promise<string | undefined> {
  const result = await http({
    method: "POST",
    url,
    headers: { "content-type": "application/json" },
    body,
    timeoutMs,
    bodyBytesMax: 64 * 1024,
  });
  if (result.kind !== "answer") return result.kind;
  return result.status >= 200 && result.status < 300 ? undefined : `HTTP ${result.status}`;
}

async function sendToAll(deps: NotifyDeps, due: DueNotice): Promise<void> {
  const body = noticeBody(toNotice(due));
  const delivered = new Set(due.delivered);
  const failures: string[] = [];
  await Promise.all(deps.urls.map(async (url) => {
    const hash = await hashOf(url);
    if (delivered.has(hash)) return;
    const failure = await sendOne(deps, url, body);
    if (failure === undefined) delivered.add(hash);
    else failures.push(failure);
  }));
  const closed = failures.length === 0 || due.tries >= triesMax;
  const error = failures[0] ?? null;
  await saveNotice(deps.sql, {
    id: due.id,
    delivered: [...delivered],
    closed,
    againMs: retryAfterMs(due.tries),
    error,
  });
  if (error !== null) {
    deps.log.warn(closed ? "notice abandoned" : "notice will be sent again", {
      task_id: due.task_id,
      kind: due.kind,
      tries: due.tries,
      cause: error,
    });
  }
}

/**
 * Sends the due notices: those of one task in order, those of different tasks at once.
 *
 * @returns the number of due notices
 */
export async function sendNotices(deps: NotifyDeps): Promise<number> {
  if (deps.urls.length === 0) {
    await closeDueNotices(deps.sql);
    return 0;
  }
  const due = await claimDueNotices(deps.sql, 20, claimMs);
  const byTask = Map.groupBy(due, ({ task_id }) => task_id);
  await Promise.all([...byTask.values()].map(async (notices) => {
    for (const notice of notices) await sendToAll(deps, notice);
  }));
  return due.length;
}
