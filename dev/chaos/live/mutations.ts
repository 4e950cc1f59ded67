/** Guards of the sync and the way back that can be removed, so that the runs must fail. */
import type { SeededMutation } from "../seeded.ts";
import type { LiveFault } from "./plan.ts";

/** A guard with the faults that reveal its absence best. */
export type LiveMutation = SeededMutation<LiveFault> & {
  /** Whether only runs with the way back can detect it. */
  needsWayBack?: true;
};

export const liveMutations: Record<string, LiveMutation> = {
  stored_position: {
    about: "the sync continues from now instead of the stored position",
    patches: [{
      file: "migrate/data/sync/stream.ts",
      from: /follow\.resume_token === null \? \{ position: BigInt\(follow\.position!\) \}/,
      to: "true ? { position: await source.clusterPosition() }",
    }],
    faults: ["kill_sync"],
  },
  deletions: {
    about: "documents that do not exist any more keep their rows",
    patches: [{
      file: "migrate/data/sync/reading.ts",
      from: /const missing = .*/,
      to: "const missing: [string, Uint8Array][] = []; void found;",
    }],
    faults: ["kill_sync"],
  },
  term_check: {
    about: "a process that lost its lease goes on writing",
    patches: [{
      file: "migrate/data/sync/lease.ts",
      from: "if (row) return;",
      to: "if (row || true) return;",
    }],
    faults: ["pause_sync_long"],
  },
  released: {
    about: "documents that wait for a task or a key are not tried again",
    patches: [{
      file: "migrate/data/sync/apply.ts",
      from: /while \(this\.#released\.size > 0\)/,
      to: "while (false as boolean)",
    }, {
      file: "migrate/data/sync/stream.ts",
      from: /if \(report\.isCaughtUp && Date\.now\(\) >= this\.#nextRetry\)/,
      to: "if (false as boolean)",
    }],
    faults: ["kill_sync"],
  },
  gap: {
    about: "a lost position is skipped without a comparison",
    patches: [{
      file: "migrate/data/sync/state.ts",
      from: /set state = 'gap', stop_reason = null/,
      to: "set state = 'following', stop_reason = null",
    }],
    faults: ["lose_position"],
  },
  position_with_rows: {
    about: "the position is stored before its batch, in a transaction of its own",
    patches: [{
      file: "migrate/data/sync/stream.ts",
      from: "await this.#applyStates(part.states, part.isLast ? progress : undefined);",
      to: "await saveProgress(this.context.pool, progress); await this.#applyStates(part.states, undefined);",
    }],
    faults: ["kill_sync", "terminate_sessions", "restart_postgres", "mute_postgres"],
  },
  position_first: {
    about: "the copy is followed from its end, not from before the first read",
    patches: [{
      file: "migrate/data/sync/state.ts",
      from: "copied_at = case when ${state} = 'following' then",
      to: "position = case when ${state} = 'following' and copied_at is null " +
        "then (extract(epoch from now())::bigint << 32) else position end, " +
        "copied_at = case when ${state} = 'following' then",
    }],
    faults: ["kill_sync"],
  },
  acknowledged_changes: {
    about: "the way back forgets changes before MongoDB has confirmed their documents",
    patches: [{
      file: "migrate/data/back/apply.ts",
      from: "const batches = coalesce(changes);",
      to:
        "await deleteChanges(this.sql, changes.map(({ number }) => number)); const batches = coalesce(changes);",
    }],
    faults: ["kill_sync"],
    needsWayBack: true,
  },
};
