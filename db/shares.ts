/** Links to one task for who has no account. */
import type { Sql } from "./connect.ts";

export interface OpenShare {
  id: string;
  taskId: string;
  mode: "read" | "rate";
  blind: boolean;
}

/** The share of a token, while it is good. */
export async function findShare(sql: Sql, tokenHash: Uint8Array): Promise<OpenShare | undefined> {
  const [row] = await sql<OpenShare[]>`
    select s.id, s.task_id as "taskId", s.mode, s.blind
    from shares s
    join tasks t on t.id = s.task_id
    where s.token_hash = ${tokenHash} and s.revoked_at is null and s.expires_at > now() and not t.is_deleted`;
  return row;
}
