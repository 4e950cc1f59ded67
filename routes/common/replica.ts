/** Opens the replica that answers reads. */
import type { Config } from "../../config.ts";
import { connect, type Pool } from "../../db/pg/connect.ts";
import { Replica, requireReplica } from "../../db/pg/replica.ts";
import { AppError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";

/** Maximum silence of a replica. Then the primary answers. */
const replicaSilentMsMax = 3_000;

/**
 * Opens the replica, if DATABASE_READ_URL is set. A replica that does not answer is left out until it does.
 *
 * @throws AppError invalid_config, database_refused, database_unsuitable
 */
export async function openReplica(
  { config, sql, log, metrics, session }: {
    config: Config;
    sql: Pool;
    log: Log;
    metrics: Metrics;
    /** Settings of each session. */
    session: Record<string, string>;
  },
): Promise<Replica | undefined> {
  const { DATABASE_READ_URL: url, READ_LAG_MS: lagMsMax } = config;
  if (url === "") return undefined;
  const pool = connect(url, {
    max: 4,
    name: "contactsheet api reads",
    silentMsMax: replicaSilentMsMax,
    session,
    setting: "DATABASE_READ_URL",
  });
  const replica = new Replica({
    primary: sql,
    replica: pool,
    lagMsMax,
    onLag: (ms) => metrics.replicaWaitSeconds.set(ms / 1000),
    onChange: (reason) => {
      metrics.replicaUsed.set(reason === undefined ? 1 : 0);
      if (reason === undefined) log.info("the replica answers reads");
      else log.warn("the replica is left out: the primary answers all reads", { reason });
    },
  });
  try {
    await requireReplica(sql, pool, url);
  } catch (error) {
    const isAway = error instanceof AppError && error.code === "database_unreachable";
    if (!isAway) {
      await pool.end({ timeout: 0 });
      throw error;
    }
    log.warn("the replica does not answer: the primary answers all reads until it does", {
      reason: error.message,
    });
  }
  await replica.start();
  return replica;
}
