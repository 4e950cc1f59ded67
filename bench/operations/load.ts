/** Requests at a steady rate, with the outcome of each. */
import { sleep } from "../queue/harness.ts";

/** One request. */
export interface Sample {
  /** Time of its start, as `performance.now()`. */
  at: number;
  ms: number;
  /** HTTP status; 0 without an answer. */
  status: number;
  /** Whether an answer with 503 says when to come again. */
  hasRetryAfter: boolean;
  error: string;
}

/** Requests that are sent until `stop()`, at the latest until the disposal. */
export interface Load extends Disposable {
  samples: Sample[];
  /** Starts no more requests, and waits for those under way. */
  stop(): Promise<Sample[]>;
}

/** Sends `perSecond` requests each second, whether earlier ones were answered or not. */
export function startLoad(send: (index: number) => Promise<Response>, perSecond: number): Load {
  const samples: Sample[] = [];
  const running = new Set<Promise<void>>();
  let isOver = false;
  const one = async (index: number) => {
    const at = performance.now();
    const sample: Sample = { at, ms: 0, status: 0, hasRetryAfter: false, error: "" };
    try {
      const response = await send(index);
      await response.arrayBuffer();
      sample.status = response.status;
      sample.hasRetryAfter = response.headers.has("retry-after");
    } catch (error) {
      sample.error = (error as Error).message;
    }
    sample.ms = performance.now() - at;
    samples.push(sample);
  };
  const run = async () => {
    const from = performance.now();
    for (let index = 0; !isOver; index++) {
      const due = from + index * 1000 / perSecond;
      const ms = due - performance.now();
      if (ms > 0) await sleep(ms);
      const request = one(index).finally(() => running.delete(request));
      running.add(request);
    }
  };
  const sending = run();
  return {
    samples,
    [Symbol.dispose]() {
      isOver = true;
    },
    async stop() {
      isOver = true;
      await sending;
      await Promise.all(running);
      return samples;
    },
  };
}

/** Returns a short list of what failed, each kind with its number. */
export function describeFailures(samples: Sample[]): string {
  const counts = new Map<string, number>();
  for (const { status, error } of samples) {
    const kind = status === 0 ? error.slice(0, 80) : String(status);
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts].map(([kind, count]) => `${count} × ${kind}`).join(", ");
}
