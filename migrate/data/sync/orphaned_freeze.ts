/**
 * Lets MongoDB take writes again when the process of a cut-over was killed after it blocked them. The sync runs at that
 * time and has a connection; the front returns to the old backend by itself.
 */
import type { Pool } from "../../../db/pg/connect.ts";
import { readTraffic } from "../../../db/traffic/traffic.ts";
import type { FollowedMongo } from "../sources/mongo_follow.ts";
import { isWriteBlocked, setWriteBlock } from "../sources/write_block.ts";

/** Interval of the looks, in milliseconds. */
const lookMs = 1000;

/** Reports whether a cut-over has, or may have, blocked MongoDB, and its hold is over. */
async function isOrphaned(pool: Pool): Promise<boolean> {
  const { phase } = await readTraffic(pool);
  if (phase === "holding" || phase === "new") return false;
  const [row] = await pool`
    select
    from migration.cutovers c
    join migration.cutover_steps s on s.cutover_id = c.id
    where c.state = 'running' and c.kind = 'cutover' and s.step = 'freeze' and s.undone_at is null
      and s.detail -> 'way' ->> 'way' = 'mongodb'`;
  return row !== undefined;
}

/** Unblocks MongoDB if a cut-over that was killed has blocked it. @returns whether it did */
export async function thawOrphaned(pool: Pool, { client }: FollowedMongo): Promise<boolean> {
  if (!await isOrphaned(pool) || !await isWriteBlocked(client)) return false;
  await setWriteBlock(client, false);
  return true;
}

/** Looks for such a block each second until disposal. */
export function watchFreeze(
  pool: Pool,
  source: FollowedMongo,
  onNote: (note: string) => void,
): AsyncDisposable {
  let looking: Promise<void> | undefined;
  const look = async () => {
    try {
      if (await thawOrphaned(pool, source)) {
        onNote("MongoDB takes writes again: the process of a cut-over was killed after it blocked them");
      }
    } catch {
      // The next look comes in a second.
    }
    looking = undefined;
  };
  const timer = setInterval(() => looking ??= look(), lookMs);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await looking;
    },
  };
}
