/** Guards of the switch that can be removed, so that the runs must fail. */
import type { SeededMutation } from "../seeded.ts";
import type { PlannedPlace, Stage, SwitchFault } from "./plan.ts";

/** A guard with the faults and the moment that reveal its absence best. */
export type SwitchMutation = SeededMutation<SwitchFault> & {
  stage: Stage;
  /** Number of switches that a run needs to detect it. */
  switches: number;
  /** A failpoint instead of faults. */
  place?: PlannedPlace;
};

export const switchMutations: Record<string, SwitchMutation> = {
  acknowledgement: {
    about: "the switch does not wait until every API process has acknowledged the hold",
    patches: [{
      file: "migrate/data/cutover/hold.ts",
      from: /acknowledged < this\.version \|\| writes_in_flight > 0/,
      to: "writes_in_flight > 0",
    }],
    faults: ["slow_postgres"],
    stage: "cutover",
    switches: 1,
  },
  lease: {
    about: "an API process goes on serving writes by an old phase when it cannot confirm it",
    patches: [{
      file: "routes/front/phase_watch.ts",
      from: "return performance.now() - this.#lookedAt < confirmWithinMs;",
      to: "return this.#lookedAt > 0 && confirmWithinMs > 0;",
    }],
    faults: ["cut_api_postgres_long"],
    stage: "canary",
    switches: 1,
  },
  in_flight: {
    about: "the switch does not wait for writes that are under way",
    patches: [{
      file: "migrate/data/cutover/hold.ts",
      from: /acknowledged < this\.version \|\| writes_in_flight > 0/,
      to: "acknowledged < this.version",
    }],
    faults: ["slow_old"],
    stage: "cutover",
    switches: 1,
  },
  position: {
    about: "the cut-over does not check that everything up to the freeze is applied",
    patches: [
      {
        file: "migrate/data/cutover/cutover.ts",
        from: "if (BigInt(follow.position ?? 0) >= this.#frozenAt) {",
        to: "if (BigInt(follow.position ?? 0) > 0n) {",
      },
      {
        file: "migrate/data/cutover/switch.ts",
        from: "where state = 'following' and position >= ${String(frozenAt)}::bigint",
        to: "where state = 'following' and ${String(frozenAt)}::bigint > 0",
      },
      {
        file: "migrate/data/cutover/cutover.ts",
        from: "requireEqual(await this.#settle(await this.#recheck!.catchUp(this.#frozenAt)));",
        to: "void requireEqual;",
      },
    ],
    faults: ["slow_follower"],
    stage: "cutover",
    switches: 1,
  },
  changes_written: {
    about: "the rollback does not check that every change is in MongoDB",
    patches: [
      {
        file: "migrate/data/cutover/rollback.ts",
        from: "if (changes === 0) return { changes };",
        to: "if (changes >= 0) return { changes };",
      },
      { file: "migrate/data/cutover/rollback.ts", from: "if (changes > 0) {", to: "if (changes > 1e9) {" },
    ],
    faults: ["slow_follower"],
    stage: "rollback",
    switches: 2,
  },
  own_writes: {
    about: "in the canary, users read from this system although their own writes are not applied here",
    patches: [{
      file: "db/traffic/processes.ts",
      from: "where w.user_key = ${userKey}\n",
      to: "where w.user_key is null and ${userKey} <> ''\n",
    }],
    faults: ["slow_follower"],
    stage: "canary",
    switches: 1,
  },
  fence: {
    about: "after a rollback, PostgreSQL takes writes of an API process that stood still during it",
    patches: [{
      file: "migrate/data/cutover/rollback.ts",
      from: "await setFence(sql, true);",
      to: "await setFence(sql, false);",
    }],
    faults: [],
    stage: "rollback",
    switches: 2,
    place: {
      process: "api",
      point: "front.write_ours",
      signal: "SIGSTOP",
      ms: 9000,
      stage: "rollback",
    },
  },
};
