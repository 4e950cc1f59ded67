/** GET /tasks?task_name=: a plain substring in any case, found by an index on the characters of names. */
import type { PendingQuery, Row } from "postgres";
import type { Sql } from "../pg/connect.ts";

type Fragment = PendingQuery<Row[]>;

/** In code points: up to here the index alone tells. */
const exactLengthMax = 2;
/** In code points: longer names are not in the index by their characters (0004_v1_reads.sql). */
const indexedLengthMax = 2000;

/**
 * `created_at` and `id` of the tasks that match, in no order. Name and pattern are folded by the same function,
 * so case is compared as the old backend's regular expressions did.
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
  return sql`${
    candidates(sql`name_grams(${pattern})`, length > exactLengthMax ? same : sql``)
  } union all ${long}`;
}
