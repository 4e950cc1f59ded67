/** The interface of the doctor's checks. */
import type { Pool } from "../../db/pg/connect.ts";
import type { Days } from "../../db/queue/doctor.ts";
import type { Log } from "../../log.ts";
import type { RedisConnection } from "../../redis/connect.ts";

export interface DoctorDeps {
  sql: Pool;
  redis: RedisConnection;
  log: Log;
  /** Prefix of all Redis keys. */
  prefix?: string;
  /** Tasks that ended within this many days are checked; null checks all. The default is 7. */
  days?: Days;
  /** Wait before a fault is checked again. Faults that disappear by themselves are not reported. */
  settleMs?: number;
}

/** A fault, or a note about an unusual state. */
export interface Finding {
  /** Key of the task, cell, worker or queue, by which the findings of two examinations are compared. */
  about: string;
  /** Whether it is a fault; a note otherwise. */
  fault: boolean;
  /** Description, for people. */
  text: string;
  /** What a person can do, or what `fix` does. */
  advice: string;
  /** Repairs the fault. Absent where a person must act. It may run twice, and while workers run. */
  fix?: () => Promise<unknown>;
}

export interface Check {
  name: string;
  examine(deps: DoctorDeps): Promise<Finding[]>;
}
