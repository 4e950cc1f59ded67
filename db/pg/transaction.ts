/** Transactions whose locks do not outlive a lost client. */
import type { Pool, Sql } from "./connect.ts";

/** Idle time within a transaction after which the server ends the session and releases its locks. */
const idleMsMax = 5_000;

/**
 * Rejects statements once `isOver`. The driver would send them on another session, outside of the
 * transaction.
 */
function guard(sql: Sql, isOver: () => boolean): Sql {
  return new Proxy(sql, {
    apply(target, self, args) {
      if (isOver()) throw new Error("the transaction has ended");
      return Reflect.apply(target, self, args);
    },
  });
}

/**
 * Runs `work` in a transaction. If the client vanishes during it (machine lost, network cut), TCP notices it
 * only after hours; the idle timeout releases the locked rows after seconds.
 *
 * @param settings settings of this transaction only, by name
 */
export async function transact<T>(
  pool: Pool,
  work: (sql: Sql) => Promise<T>,
  settings: Record<string, string> = {},
): Promise<T> {
  let over = false;
  const all = { idle_in_transaction_session_timeout: String(idleMsMax), ...settings };
  const names = Object.keys(all);
  const values = Object.values(all);
  try {
    return await pool.begin(async (sql) => {
      await sql`
        select set_config(name, value, true)
        from unnest(${names}::text[], ${values}::text[]) as s (name, value)`;
      return await work(guard(sql, () => over));
    }) as T;
  } finally {
    over = true;
  }
}
