/** Transactions of several statements, whose locks end with whoever holds them. */
import type { Pool, Sql } from "./connect.ts";

/** A session that says nothing for so long within a transaction is ended by the server, and its locks with it. */
const idleMsMax = 5_000;

/** Refuses statements once `isOver`: the driver would send them over the session's successor, outside of any transaction. */
function guard(sql: Sql, isOver: () => boolean): Sql {
  return new Proxy(sql, {
    apply(target, self, args) {
      if (isOver()) throw new Error("the transaction has ended");
      return Reflect.apply(target, self, args);
    },
  });
}

/**
 * Runs `move` in a transaction. A peer that vanishes in the middle of it without a word (its machine lost, its network
 * cut) is not missed by TCP for hours; the rows that it has locked are free after seconds.
 *
 * @param settings of this transaction alone, by name
 */
export async function transact<T>(
  pool: Pool,
  move: (sql: Sql) => Promise<T>,
  settings: Record<string, string> = {},
): Promise<T> {
  let over = false;
  const all = Object.entries({ idle_in_transaction_session_timeout: String(idleMsMax), ...settings });
  try {
    return await pool.begin(async (sql) => {
      await sql`
        select set_config(name, value, true)
        from unnest(${all.map(([name]) => name)}::text[], ${
        all.map(([, value]) => value)
      }::text[]) as s (name, value)`;
      return await move(guard(sql, () => over));
    }) as T;
  } finally {
    over = true;
  }
}
