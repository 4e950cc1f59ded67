/** Cancels statements whose requester has gone. */
import type { PendingQuery, Row } from "postgres";
import type { Pool } from "./connect.ts";

interface Cancellable extends PendingQuery<Row[]> {
  /**
   * The driver's internal cancel function. Its public one drops the promise, and with it a failure to
   * connect.
   */
  canceller: ((query: unknown) => Promise<void>) | null;
  /** The query was started. A fragment of another query never is. */
  executed: boolean;
  /** The connection that it was sent to; null while it waits for one. */
  state: unknown;
  /** The server is working on it. */
  active: boolean;
}

const retryMs = 20;

/**
 * Cancels a query once the server works on it. A query that waits behind another one on its connection must
 * not be cancelled: the driver would forget it and give its answer to the next query.
 */
async function cancel(query: Cancellable): Promise<void> {
  let settled = false;
  const settle = () => settled = true;
  query.then(settle, settle);
  // Two observations in a row: a short query may end before the cancel request arrives, which would hit the
  // next one.
  for (let seen = query.active ? 1 : 0; !settled && query.state !== null && seen < 2;) {
    await new Promise((resolve) => setTimeout(resolve, retryMs));
    seen = query.active ? seen + 1 : 0;
  }
  const { canceller } = query;
  query.canceller = null;
  if (!settled) await canceller?.(query)?.catch(() => {});
}

/**
 * Returns a pool whose running and waiting statements are cancelled when `signal` is aborted. Use it for
 * reads only: transactions are not cancelled.
 */
export function cancelOnAbort(sql: Pool, signal: AbortSignal): Pool {
  const queries = new Set<Cancellable>();
  signal.addEventListener("abort", () => {
    for (const query of queries) if (query.executed) void cancel(query);
    queries.clear();
  }, { once: true });
  return new Proxy(sql, {
    apply(target, self, args) {
      const result = Reflect.apply(target, self, args);
      // The same call also makes identifiers and values for statements; only a template has `raw`.
      if (Array.isArray(args[0]?.raw)) queries.add(result as Cancellable);
      return result;
    },
  });
}
