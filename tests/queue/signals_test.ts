/** Long-lived abort signals keep no listeners of finished work. */
import assert from "node:assert/strict";
import type { ClaimedSubtask } from "../../db/queue/subtasks.ts";
import { type AttemptDeps, runAttempt } from "../../jobs/work/attempt.ts";
import { callHttp, type Http } from "../../http.ts";
import { joinSignals } from "../../jobs/work/signals.ts";
import { silentLog } from "../../log.ts";
import { createMetrics } from "../../metrics.ts";

/** Counts the listeners that are added to a signal from now on. */
function watchListeners(signal: AbortSignal): { count: number; added: number } {
  const counts = { count: 0, added: 0 };
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  const listeners = new Set<unknown>();
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners.add(args[1]);
    counts.added++;
    counts.count = listeners.size;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners.delete(args[1]);
    counts.count = listeners.size;
    remove(...args);
  };
  return counts;
}

Deno.test("joinSignals() aborts with the first of its sources and removes its listeners", () => {
  const one = new AbortController();
  const two = new AbortController();
  const counts = watchListeners(one.signal);
  {
    using joined = joinSignals([one.signal, two.signal]);
    assert.equal(counts.count, 1);
    two.abort("why");
    assert.deepEqual([joined.signal.aborted, joined.signal.reason], [true, "why"]);
  }
  assert.equal(counts.count, 0);
  using late = joinSignals([one.signal, two.signal]);
  assert.equal(late.signal.reason, "why");
});

const subtask = {
  task_id: crypto.randomUUID(),
  id: crypto.randomUUID(),
  lease_id: "1",
  queue: "standard",
  cell: 0,
  prompts: "[]",
  ratio: "1:1",
  seed: "1",
  use_polish: false,
  client_args: null,
  remote_id: null,
  retry_count: 0,
  attempt: 1,
  losses: 0,
  elapsed_ms: 0,
  task_status: "processing",
} as ClaimedSubtask;

Deno.test("an attempt and its retries remove their listeners from the stop signals", async () => {
  const drop = new AbortController();
  const handOver = new AbortController();
  const counts = [watchListeners(drop.signal), watchListeners(handOver.signal)];
  let polls = 0;
  const http: Http = ({ method }) => {
    const text = method === "POST"
      ? '"job"'
      : `{"task_status":"${++polls % 4 === 0 ? "TIMEOUT" : "PENDING"}"}`;
    return Promise.resolve({ kind: "answer", status: 200, headers: new Headers(), text });
  };
  const leaseHeld = () => Promise.resolve(true);
  const deps: AttemptDeps = {
    backendOf: () => ({ http, token: "t", baseUrl: "http://h", pollMs: 1, pollsMax: 99 }),
    writes: { saveRemote: leaseHeld, retry: leaseHeld, begin: leaseHeld, settle: leaseHeld },
    mayPost: () => true,
    log: silentLog,
    metrics: createMetrics(),
    attemptMs: 60_000,
    random: () => 0,
  };
  const end = await runAttempt(subtask, deps, { drop: drop.signal, handOver: handOver.signal });
  assert.deepEqual([end.kind, polls], ["failed", 20]);
  for (const { count, added } of counts) assert.deepEqual([count, added >= 5], [0, true]);
});

Deno.test("callHttp() removes its listener from the caller's signal", async () => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("{}"));
  const caller = new AbortController();
  const counts = watchListeners(caller.signal);
  for (const port of [server.addr.port, 1]) {
    const url = `http://127.0.0.1:${port}/`;
    await callHttp({ method: "GET", url, timeoutMs: 5_000, bodyBytesMax: 100, signal: caller.signal });
  }
  assert.deepEqual([counts.count, counts.added], [0, 2]);
  await server.shutdown();
});
