/** `GET /tasks?task_name=`: finds a substring in any case by an index on the character n-grams of names. */
import type { PendingQuery, Row } from "postgres";
import type { Sql } from "../pg/connect.ts";

type Fragment = PendingQuery<Row[]>;

/** Longest pattern, in code points, for which an index match needs no further check. */
const exactLengthMax = 2;
/** Longest name, in code points, whose characters are indexed (0004_v1_reads.sql). */
const indexedLengthMax = 2000;

/**
 * Builds a query for `created_at` and `id` of the matching tasks, in no order. Name and pattern are folded by
 * the same function, which ignores case as the old backend's regular expressions did.
 *
 * @param also more conditions on `tasks`, each with its `and`
 */
export function matchingTasks(sql: Sql, pattern: string, also: Fragment) {
  const { length } = [...pattern];
  const same = sql`and strpos(fold_name(task_name), fold_name(${pattern})) > 0`;
  const candidates = (grams: Fragment, check: Fragment) =>
    sql`
      select created_at, id
      from tasks
      where not is_deleted and name_grams(task_name) @> ${grams} ${check} ${also}`;
  const long = candidates(sql`'{0}'`, same);
  if (length > indexedLengthMax) return long;
  const short = candidates(sql`name_grams(${pattern})`, length > exactLengthMax ? same : sql``);
  return sql`${short} union all ${long}`;
}
