/** Load from several clients at once, and its account: acknowledged writes, failures, and the longest answers. */
import { createRandom } from "../chaos/random.ts";
import { type LoadCall, LoadClient, type LoadClientOptions } from "./client.ts";
import type { Entry } from "./entries.ts";

export interface LoadOptions extends Omit<LoadClientOptions, "number" | "random"> {
  /** Number of clients. */
  clients: number;
  /** Seed of everything that varies. */
  seed?: number;
}

/** Running load. */
export interface Load extends AsyncDisposable {
  clients: readonly LoadClient[];
  /** Ends it after the calls under way. */
  stop(): Promise<void>;
}

/** What a load has done so far. */
export interface LoadAccount {
  calls: number;
  reads: number;
  writes: number;
  /** Writes that were answered with 200. */
  acknowledged: number;
  /** Calls without an answer, or with another status than 200. */
  failures: LoadCall[];
  /** Duration of the longest write in ms. */
  longestWriteMs: number;
  longestReadMs: number;
  entries: Entry[];
  /** Answers that contradict the ledger. */
  violations: string[];
}

/** Starts clients that make calls until they are stopped. */
export async function startLoad({ clients: count, seed = 1, ...options }: LoadOptions): Promise<Load> {
  const random = createRandom(seed);
  const clients: LoadClient[] = [];
  for (let number = 1; number <= count; number++) {
    const client = Object.assign({ number, random: random.fork(`client ${number}`) }, options);
    clients.push(await LoadClient.create(client));
  }
  const stopped = new AbortController();
  const running = Promise.all(clients.map((client) => client.run(stopped.signal)));
  const stop = async () => {
    stopped.abort();
    await running;
  };
  return { clients, stop, [Symbol.asyncDispose]: stop };
}

const longest = (calls: readonly LoadCall[], kind: LoadCall["kind"]): number =>
  calls.reduce((max, call) => call.kind === kind ? Math.max(max, call.ms) : max, 0);

/**
 * Adds up what clients have done.
 *
 * @param since counts only calls from this time on, in ms since 1970
 */
export function readAccount(clients: readonly LoadClient[], since = 0): LoadAccount {
  const calls = clients.flatMap((client) => client.calls).filter(({ at }) => at >= since);
  const writes = calls.filter(({ kind }) => kind === "write");
  return {
    calls: calls.length,
    reads: calls.length - writes.length,
    writes: writes.length,
    acknowledged: writes.filter(({ status }) => status === 200).length,
    failures: calls.filter(({ status }) => status !== 200),
    longestWriteMs: longest(calls, "write"),
    longestReadMs: longest(calls, "read"),
    entries: clients.flatMap(({ entries }) => entries),
    violations: clients.flatMap(({ violations }) => violations),
  };
}
