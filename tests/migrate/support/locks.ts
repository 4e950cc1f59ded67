import type { Pool } from "../../../db/pg/connect.ts";
import { waitFor } from "../../support/wait.ts";

/** Waits until the server has ended the sessions of a killed migrator, which still hold its advisory locks. */
export async function waitForUnlock(sql: Pool): Promise<void> {
  await waitFor("the migrator's locks to be released", async () => {
    const locks = await sql`
      select
      from pg_locks
      where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())
      limit 1`;
    return locks.length === 0;
  });
}
