/** Statements that end with the one who asked for them. */
import type { PendingQuery, Row } from "postgres";
import type { Pool } from "./connect.ts";

interface Cancellable extends PendingQuery<Row[]> {
  /** The driver's own way to cancel; its public one drops the promise, and with it a failure to connect. */
  canceller: ((query: unknown) => Promise<void>) | null;
  /** Asked for; a fragment of another statement never is. */
  executed: boolean;
  /** Where it was sent; null while it waits for a connection. */
  state: unknown;
  /** Whether the server works on it. */
  active: boolean;
}

const retryMs = 20;

/**
 * One that was sent behind another on its connection must not be cancelled yet: the driver would forget it, and give its
 * answer to the next.
 */
async function cancel(query: Cancellable): Promise<void> {
  let settled = false;
  const settle = () => settled = true;
  query.then(settle, settle);
  // Twice in turn, as a quick one may have ended by the time its cancelling arrives, and the next would be hit.
  for (let seen = query.active ? 1 : 0; !settled && query.state !== null && seen < 2;) {
    await new Promise((resolve) => setTimeout(resolve, retryMs));
    seen = query.active ? seen + 1 : 0;
  }
  const { canceller } = query;
  query.canceller = null;
  if (!settled) await canceller?.(query)?.catch(() => {});
}

/**
 * A pool whose statements are cancelled when `leaving` is aborted: those that run and those that wait. For reads alone:
 * transactions go their way.
 */
export function untilLeft(sql: Pool, leaving: AbortSignal): Pool {
  const begun = new Set<Cancellable>();
  leaving.addEventListener("abort", () => {
    for (const query of begun) if (query.executed) void cancel(query);
    begun.clear();
  }, { once: true });
  return new Proxy(sql, {
    apply(target, self, args) {
      const made = Reflect.apply(target, self, args);
      // Names and values for a statement go through the same call.
      if (Array.isArray(args[0]?.raw)) begun.add(made as Cancellable);
      return made;
    },
  });
}
