/** Sends reads to a replica, and sends them again to the primary if they fail there. */
import type { Pool } from "../../db/pg/connect.ts";
import type { Replica } from "../../db/pg/replica.ts";
import type { Metrics } from "../../metrics.ts";

/** Reads of v1 and v2 that a replica can answer: lists, details, matrices, cells, statistics, exports. */
const reads = /^https?:\/\/[^/]*\/api\/(?:v1\/(?:tasks|users)|v2\/(?:tasks|users|compare))(?:[/?]|$)/;
/** Reads that reserve rows, or that follow changes. */
const primaryOnly = /\/(?:next|events|webhooks|deliveries)(?:[/?]|$)/;

const isRead = ({ method, url }: Request): boolean =>
  (method === "GET" || method === "HEAD") && reads.test(url) && !primaryOnly.test(url);

/**
 * Answers a request from the replica where it is a read and the replica has everything that it must show, otherwise from
 * the primary.
 *
 * @param answer answers the request from a pool; undefined means the primary
 */
export async function answerFrom<T extends { response: Response }>(
  { replica, metrics }: { replica: Replica | undefined; metrics: Metrics },
  request: Request,
  answer: (sql: Pool | undefined) => Promise<T>,
): Promise<T> {
  if (replica === undefined || !isRead(request)) return await answer(undefined);
  const sql = await replica.choose();
  if (sql !== undefined) {
    const answered = await answer(sql);
    if (answered.response.status < 500) {
      metrics.reads.inc({ server: "replica" });
      return answered;
    }
    // The replica may have gone, or may have cancelled the statement because of a change that it had to apply.
    replica.leaveOut("a read failed there");
    await answered.response.body?.cancel();
  }
  metrics.reads.inc({ server: "primary" });
  return await answer(undefined);
}
