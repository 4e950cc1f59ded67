/** What the doctor's checks are given, and what they find. */
import type { Pool } from "../../db/pg/connect.ts";
import type { Days } from "../../db/queue/doctor.ts";
import type { Log } from "../../log.ts";
import type { RedisDoor } from "../../redis/connect.ts";

export interface DoctorDeps {
  sql: Pool;
  redis: RedisDoor;
  log: Log;
  /** First part of every Redis key. */
  prefix?: string;
  /** How many days back ended tasks are looked at; null: all. 7 unless told. */
  days?: Days;
  /** Between two looks at a fault: what passes by itself is none. */
  settleMs?: number;
}

/** Something that does not hold. */
export interface Finding {
  /** What it is about, so that two looks can be compared: a task, a cell, a worker, a queue. */
  about: string;
  /** False: worth knowing, nothing is wrong. */
  fault: boolean;
  /** What was found, in a sentence. */
  text: string;
  /** What to do, or what `fix` will have done. */
  advice: string;
  /** Puts it right; absent where that is for people. Safe to run twice, and beside living workers. */
  fix?: () => Promise<unknown>;
}

export interface Check {
  name: string;
  examine(deps: DoctorDeps): Promise<Finding[]>;
}
