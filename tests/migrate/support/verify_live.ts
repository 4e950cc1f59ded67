/** Runs `verify --live` in a test. */
import type { Pool } from "../../../db/pg/connect.ts";
import { openFollowed } from "../../../migrate/data/sources/mongo_follow.ts";
import { silentProgress } from "../../../migrate/data/tools/progress.ts";
import { verifyLive } from "../../../migrate/data/verify/live.ts";
import type { WaitLimits } from "../../../migrate/data/verify/live_follow.ts";
import type { LiveVerdict } from "../../../migrate/data/verify/live_result.ts";
import { databaseName, type Followed } from "./followed.ts";

const shortLimits: WaitLimits = { withoutSync: 1000, standstill: 20_000, lag: 60_000 };

/** Verifies the followed source from the beginning. */
export async function verifyFollowed(
  sql: Pool,
  { mongo }: Followed,
  limits = shortLimits,
): Promise<LiveVerdict> {
  await using source = await openFollowed(mongo.url, databaseName);
  return await verifyLive(sql, source, { progress: silentProgress, again: true, limits });
}
