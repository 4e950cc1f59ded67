/** Runs the attempts of a claimed subtask: the POST, the polls, and the retries, until the lease ends. */
import type { ClaimedSubtask, Settlement } from "../../db/queue/subtasks.ts";
import { postWithinMs } from "../../db/queue/times.ts";
import type { Log } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";
import { followJob } from "../image/follow.ts";
import { createJob, pollJob } from "../image/api.ts";
import type { Backend } from "../image/backends.ts";
import { buildImageRequest, sizeOfRatio } from "../image/request.ts";
import { nextStep, type Outcome } from "../image/retry.ts";
import type { Writes } from "./settle.ts";
import { joinSignals } from "./signals.ts";

export interface AttemptDeps {
  backendOf: (subtask: ClaimedSubtask) => Backend;
  writes: Writes;
  /** Whether POSTs may be sent: the worker's last heartbeat is young enough. */
  mayPost: () => boolean;
  log: Log;
  metrics: Metrics;
  /** Maximum length of an attempt in milliseconds. */
  attemptMs: number;
  random: () => number;
}

/** How a worker's work on a subtask ended. `unsent` is true when no POST of the current attempt was sent. */
export type AttemptEnd =
  | { kind: "completed" | "failed" | "lost" }
  | { kind: "handed_over"; unsent: boolean };

/**
 * Signals that end an attempt from outside. `drop` aborts it: the lease is lost or the task is cancelled.
 * `handOver` waits for the answer to a POST and stops everything else.
 */
export interface Stops {
  drop: AbortSignal;
  handOver: AbortSignal;
}

/** Maximum number of lost workers before a subtask fails: its payload may be what ends them. */
const lossesMax = 20;

class HandedOver extends Error {}

const clean = (text: string): string => text.toWellFormed().replaceAll("\0", "").slice(0, 2_000);

/**
 * Waits for `ms`.
 *
 * @throws the reason of the first signal that is aborted
 */
async function pause(ms: number, signals: AbortSignal[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stop = () => reject(signals.find(({ aborted }) => aborted)?.reason);
  if (signals.some(({ aborted }) => aborted)) stop();
  const timer = setTimeout(resolve, ms);
  for (const signal of signals) signal.addEventListener("abort", stop, { once: true });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    for (const signal of signals) signal.removeEventListener("abort", stop);
  }
}

/** The state of the current attempt's remote job. */
interface JobState {
  remoteId: string | null;
  isPosted: boolean;
  /** Time of the write that allows the POST, by `performance.now()`. */
  allowedAt: number;
}

/** Runs one attempt: sends the POST unless the job's id is known, then polls. */
async function runOnce(
  subtask: ClaimedSubtask,
  job: JobState,
  deps: AttemptDeps,
  stops: Stops,
  leftMs: number,
): Promise<Outcome | "lost"> {
  const backend = deps.backendOf(subtask);
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), Math.max(0, leftMs));
  // A hand-over does not abort the POST, because its answer is the job's id. It does abort the polls.
  using postStop = joinSignals([stops.drop, timeout.signal]);
  using pollStop = joinSignals([stops.drop, timeout.signal, stops.handOver]);
  const postSignal = postStop.signal;
  const pollSignal = pollStop.signal;
  try {
    if (job.remoteId === null) {
      stops.handOver.throwIfAborted();
      stops.drop.throwIfAborted();
      // Later, this worker may count as dead and another may pay for the same image.
      if (performance.now() - job.allowedAt > postWithinMs || !deps.mayPost()) return "lost";
      job.isPosted = true;
      const created = await createJob({
        ...backend,
        signal: postSignal,
        body: buildImageRequest(subtask).body,
      });
      if (created.kind !== "job") return created;
      job.remoteId = created.id;
      if (!await deps.writes.saveRemote({ ...subtask, remote_id: created.id })) return "lost";
    }
    const id = job.remoteId;
    return await followJob({
      poll: () => {
        pollSignal.throwIfAborted();
        return pollJob({ ...backend, signal: pollSignal, id });
      },
      wait: () => pause(backend.pollMs, [pollSignal]),
      pollsMax: backend.pollsMax,
    });
  } catch (error) {
    if (stops.drop.aborted) return "lost";
    if (timeout.signal.aborted) {
      return { kind: "timeout", reason: `超过 ${Math.round(deps.attemptMs / 1000)} 秒仍未完成` };
    }
    if (stops.handOver.aborted) throw new HandedOver();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Formats a time as the results of the old backend do: Beijing time with microseconds. */
function formatResultTime(now: Date): string {
  return new Date(now.getTime() + 8 * 3_600_000).toISOString().replace("Z", "000+08:00");
}

function toSettlement(
  subtask: ClaimedSubtask,
  outcome: Outcome,
  status: "completed" | "failed",
  failures: number,
): Settlement {
  const { task_id, id, lease_id } = subtask;
  if (outcome.kind !== "done") {
    const error = failures > 1 ? `已尝试 ${failures} 次: ${outcome.reason}` : outcome.reason;
    return {
      task_id,
      id,
      lease_id,
      status,
      retry_count: failures,
      outcome: outcome.kind,
      reason: clean(outcome.reason),
      result: null,
      image_url: null,
      error: clean(error),
    };
  }
  const { width, height } = sizeOfRatio(subtask.ratio);
  const result = `{"url":${JSON.stringify(outcome.url)},"width":${width},"height":${height},` +
    `"seed":${subtask.seed},"created_at":"${formatResultTime(new Date())}"}`;
  return {
    task_id,
    id,
    lease_id,
    status,
    retry_count: failures,
    result,
    image_url: outcome.url,
    error: null,
  };
}

interface Progress {
  failures: number;
  attempt: number;
  job: JobState;
}

/**
 * Writes a failed attempt and waits for the next one in the slot.
 *
 * @returns false when the lease is lost
 */
async function prepareRetry(
  subtask: ClaimedSubtask,
  progress: Progress,
  { kind: outcome, reason }: Exclude<Outcome, { kind: "done" }>,
  waitMs: number,
  deps: AttemptDeps,
  stops: Stops,
): Promise<boolean> {
  progress.failures++;
  progress.attempt++;
  progress.job = { remoteId: null, isPosted: false, allowedAt: -Infinity };
  const { failures: retry_count, attempt } = progress;
  const isHeld = await deps.writes.retry({
    ...subtask,
    outcome,
    reason: clean(reason),
    retry_count,
    attempt,
    error: clean(`第 ${retry_count} 次尝试失败: ${reason}`),
    wait_ms: waitMs,
  });
  if (!isHeld) return false;
  if (waitMs > 0) await pause(waitMs, [stops.drop, stops.handOver]);
  progress.job.allowedAt = performance.now();
  return await deps.writes.begin(subtask);
}

/** Runs attempts until the subtask has ended or its lease is lost. */
async function runToEnd(
  subtask: ClaimedSubtask,
  progress: Progress,
  deps: AttemptDeps,
  stops: Stops,
): Promise<AttemptEnd> {
  let leftMs = deps.attemptMs - (subtask.remote_id === null ? 0 : subtask.elapsed_ms);
  for (;; leftMs = deps.attemptMs) {
    const started = performance.now();
    const outcome: Outcome | "lost" = subtask.losses >= lossesMax
      ? { kind: "illegal", reason: `放弃: 已开始 ${subtask.losses} 次，工作进程每次都中断` }
      : await runOnce(subtask, progress.job, deps, stops, leftMs);
    if (outcome === "lost") return { kind: "lost" };
    deps.metrics.attempts.inc({ queue: subtask.queue, outcome: outcome.kind });
    deps.metrics.attemptSeconds.observe({ queue: subtask.queue }, (performance.now() - started) / 1000);
    const step = nextStep(outcome, progress.failures + 1, deps.random);
    if (step.kind === "retry" && outcome.kind !== "done") {
      if (!await prepareRetry(subtask, progress, outcome, step.waitMs, deps, stops)) {
        return { kind: "lost" };
      }
      continue;
    }
    const status = step.kind === "end" ? step.status : "failed";
    const failures = progress.failures + (outcome.kind === "done" ? 0 : 1);
    const isHeld = await deps.writes.settle(toSettlement(subtask, outcome, status, failures));
    return { kind: isHeld ? status : "lost" };
  }
}

/**
 * Works on a claimed subtask until it ends, its lease is lost, or it is handed over. Every write carries the
 * lease.
 *
 * @param claimedAt time at which the claim was sent, by `performance.now()`
 * @throws any unexpected error; the caller then leaves the lease to the next heartbeat, which releases it
 */
export async function runAttempt(
  subtask: ClaimedSubtask,
  deps: AttemptDeps,
  stops: Stops,
  claimedAt = performance.now(),
): Promise<AttemptEnd> {
  const started = performance.now();
  const progress: Progress = {
    failures: subtask.retry_count,
    attempt: subtask.attempt,
    job: { remoteId: subtask.remote_id, isPosted: subtask.remote_id !== null, allowedAt: claimedAt },
  };
  let end: AttemptEnd;
  try {
    end = await runToEnd(subtask, progress, deps, stops);
  } catch (error) {
    if (stops.drop.aborted) end = { kind: "lost" };
    else if (error instanceof HandedOver || stops.handOver.aborted) {
      end = { kind: "handed_over", unsent: !progress.job.isPosted };
    } else throw error;
  }
  deps.log.info("subtask", {
    task_id: subtask.task_id,
    cell: subtask.cell,
    attempt: progress.attempt,
    outcome: end.kind,
    duration_ms: Math.round(performance.now() - started),
  });
  return end;
}
