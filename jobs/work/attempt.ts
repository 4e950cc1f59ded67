/** One claimed subtask, from its lease to its end: POST, poll, and whatever follows a failure. */
import type { Claimed, Settlement } from "../../db/queue/subtasks.ts";
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
  backendOf: (subtask: Claimed) => Backend;
  writes: Writes;
  log: Log;
  metrics: Metrics;
  /** A whole attempt is given up after this: 5 minutes. */
  attemptMs: number;
  random: () => number;
}

/** How work on a subtask ended here; `unsent` when no POST of its present attempt was sent. */
export type AttemptEnd =
  | { kind: "completed" | "failed" | "lost" }
  | { kind: "handed_over"; unsent: boolean };

/**
 * What ends work from outside: `drop` throws it away (lease lost, task cancelled), `handOver` lets a POST under way
 * answer and stops everything else.
 */
export interface Stops {
  drop: AbortSignal;
  handOver: AbortSignal;
}

/** A payload that took down this many workers is not tried again. */
const lossesMax = 20;

/** For so long after the write that allows it a POST may be sent; others take over no earlier than after 6 s. */
const allowedMs = 4_000;

class HandedOver extends Error {}

const clean = (text: string): string => text.toWellFormed().replaceAll("\0", "").slice(0, 2_000);

/** Lets time pass; rejects at once when one of the signals is aborted. */
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

/** Where one attempt stands, for whoever must stop it. */
interface Standing {
  remoteId: string | null;
  posted: boolean;
  /** When the write that allows the POST was sent. */
  allowedAt: number;
}

async function runOnce(
  subtask: Claimed,
  standing: Standing,
  deps: AttemptDeps,
  stops: Stops,
  leftMs: number,
): Promise<Outcome | "lost"> {
  const backend = deps.backendOf(subtask);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), Math.max(0, leftMs));
  // One signal for the calls: the POST is not cut by a hand-over, for its answer is the job's id.
  using joinedCall = joinSignals([stops.drop, late.signal]);
  using joinedQuiet = joinSignals([stops.drop, late.signal, stops.handOver]);
  const call = joinedCall.signal;
  const quiet = joinedQuiet.signal;
  try {
    if (standing.remoteId === null) {
      stops.handOver.throwIfAborted();
      stops.drop.throwIfAborted();
      // Whoever was stopped for so long in between may have been declared dead: somebody else pays, not we.
      if (performance.now() - standing.allowedAt > allowedMs) return "lost";
      standing.posted = true;
      const created = await createJob({ ...backend, signal: call, body: buildImageRequest(subtask).body });
      if (created.kind !== "job") return created;
      standing.remoteId = created.id;
      if (!await deps.writes.saveRemote({ ...subtask, remote_id: created.id })) return "lost";
    }
    const id = standing.remoteId;
    return await followJob({
      poll: () => {
        quiet.throwIfAborted();
        return pollJob({ ...backend, signal: quiet, id });
      },
      wait: () => pause(backend.pollMs, [quiet]),
      pollsMax: backend.pollsMax,
    });
  } catch (error) {
    if (stops.drop.aborted) return "lost";
    if (late.signal.aborted) {
      return { kind: "timeout", reason: `超过 ${Math.round(deps.attemptMs / 1000)} 秒仍未完成` };
    }
    if (stops.handOver.aborted) throw new HandedOver();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Beijing time with microseconds, as results have always had it. */
function resultTime(now: Date): string {
  return new Date(now.getTime() + 8 * 3_600_000).toISOString().replace("Z", "000+08:00");
}

function settlementOf(
  subtask: Claimed,
  outcome: Outcome,
  status: "completed" | "failed",
  failures: number,
): Settlement {
  const { task_id, id, lease_id } = subtask;
  if (outcome.kind !== "done") {
    const error = failures > 1 ? `已尝试 ${failures} 次: ${outcome.reason}` : outcome.reason;
    const ended = { outcome: outcome.kind, reason: clean(outcome.reason) };
    const none = { ...ended, result: null, image_url: null, error: clean(error) };
    return { task_id, id, lease_id, status, retry_count: failures, ...none };
  }
  const { width, height } = sizeOfRatio(subtask.ratio);
  const result = `{"url":${JSON.stringify(outcome.url)},"width":${width},"height":${height},` +
    `"seed":${subtask.seed},"created_at":"${resultTime(new Date())}"}`;
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
  standing: Standing;
}

/** Writes a failure down and waits for the next attempt in the slot. @returns false where the lease is lost */
async function prepareRetry(
  subtask: Claimed,
  progress: Progress,
  { kind: outcome, reason }: Exclude<Outcome, { kind: "done" }>,
  waitMs: number,
  deps: AttemptDeps,
  stops: Stops,
): Promise<boolean> {
  progress.failures++;
  progress.attempt++;
  progress.standing = { remoteId: null, posted: false, allowedAt: -Infinity };
  const { failures: retry_count, attempt } = progress;
  const error = clean(`第 ${retry_count} 次尝试失败: ${reason}`);
  const ended = { outcome, reason: clean(reason) };
  if (!await deps.writes.retry({ ...subtask, ...ended, retry_count, attempt, error, wait_ms: waitMs })) {
    return false;
  }
  if (waitMs > 0) await pause(waitMs, [stops.drop, stops.handOver]);
  progress.standing.allowedAt = performance.now();
  return await deps.writes.begin(subtask);
}

async function runToEnd(
  subtask: Claimed,
  progress: Progress,
  deps: AttemptDeps,
  stops: Stops,
): Promise<AttemptEnd> {
  let leftMs = deps.attemptMs - (subtask.remote_id === null ? 0 : subtask.elapsed_ms);
  for (;; leftMs = deps.attemptMs) {
    const started = performance.now();
    const outcome: Outcome | "lost" = subtask.losses >= lossesMax
      ? { kind: "illegal", reason: `放弃: 已开始 ${subtask.losses} 次，工作进程每次都中断` }
      : await runOnce(subtask, progress.standing, deps, stops, leftMs);
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
    const held = await deps.writes.settle(settlementOf(subtask, outcome, status, failures));
    return { kind: held ? status : "lost" };
  }
}

/**
 * Works on a claimed subtask until it has ended, was lost or is to be handed over; every write carries the lease.
 *
 * @param claimedAt when the claim was sent, by `performance.now()`
 * @throws what the database or a fault of ours made of it; the lease is then given back by whoever called
 */
export async function runAttempt(
  subtask: Claimed,
  deps: AttemptDeps,
  stops: Stops,
  claimedAt = performance.now(),
): Promise<AttemptEnd> {
  const started = performance.now();
  const progress: Progress = {
    failures: subtask.retry_count,
    attempt: subtask.attempt,
    standing: { remoteId: subtask.remote_id, posted: subtask.remote_id !== null, allowedAt: claimedAt },
  };
  let end: AttemptEnd;
  try {
    end = await runToEnd(subtask, progress, deps, stops);
  } catch (error) {
    if (stops.drop.aborted) end = { kind: "lost" };
    else if (error instanceof HandedOver || stops.handOver.aborted) {
      end = { kind: "handed_over", unsent: !progress.standing.posted };
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
