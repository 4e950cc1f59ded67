/** Facts about both sides from which the guide derives the state of every stage. */
import { findFollowing, type Following, readWayBack, type WayBack } from "../../../db/migration/following.ts";
import type { Sql } from "../../../db/pg/connect.ts";
import { listFrontProcesses } from "../../../db/traffic/processes.ts";
import {
  listTrafficChanges,
  readTraffic,
  type Traffic,
  type TrafficChangeRow,
} from "../../../db/traffic/traffic.ts";
import type { Check } from "../cutover/check.ts";
import { type DecisionRow, listDecisions } from "../cutover/decisions.ts";
import { readGate } from "../cutover/gate.ts";
import { type CutoverRow, listCutovers } from "../cutover/journal.ts";
import { readRollbackGate } from "../cutover/rollback_gate.ts";
import { findSchemaFault } from "../cutover/target_facts.ts";
import type { Assessed, MoveContext } from "./context.ts";
import { findMoveHolder, type MoveHolder } from "./lock.ts";

const changesMax = 200;

/** What is known once the database has its tables. */
export interface TargetState {
  /** Checks of the gate of the cut-over, and in phase `new` those of the rollback. */
  checks: Map<string, Check>;
  backChecks: Map<string, Check>;
  traffic: Traffic;
  processes: Awaited<ReturnType<typeof listFrontProcesses>>;
  following: Following | undefined;
  wayBack: WayBack;
  /** Newest first. */
  changes: TrafficChangeRow[];
  /** Newest first. */
  cutovers: CutoverRow[];
  decisions: DecisionRow[];
  /** The database's clock, in ms since 1970. */
  nowMs: number;
  /** Documents that the first copy has written. */
  copied: number;
}

export interface Facts {
  /** What is wrong with the schema; undefined if it is current. */
  schemaFault: string | undefined;
  assessed: (Assessed & { accepted: boolean; by: string; at: string | undefined }) | undefined;
  holder: MoveHolder | undefined;
  target: TargetState | undefined;
}

const byName = (checks: readonly Check[]): Map<string, Check> =>
  new Map(checks.map((check) => [check.name, check]));

async function readTarget({ switching, options }: MoveContext): Promise<TargetState> {
  const { pool } = switching;
  const traffic = await readTraffic(pool);
  const decisions = await listDecisions(pool);
  const unfinished = options.unfinished ?? findUnfinished(decisions);
  const decided = Object.assign({}, options, { unfinished, accept: [] });
  const [row] = await pool<{ now: number; copied: number }[]>`
    select (extract(epoch from now()) * 1000)::float8 as now,
      (select coalesce(sum(documents), 0)::float8 from migration.follow_ranges) as copied`;
  const isNew = traffic.phase === "new";
  const gate = await readGate(switching, decided);
  return {
    checks: byName(gate.checks),
    backChecks: byName(isNew ? (await readRollbackGate(switching, decided)).checks : []),
    traffic,
    processes: await listFrontProcesses(pool),
    following: await findFollowing(pool),
    wayBack: await readWayBack(pool),
    changes: await listTrafficChanges(pool, changesMax),
    cutovers: await listCutovers(pool, changesMax),
    decisions,
    nowMs: row!.now,
    copied: row!.copied,
  };
}

/** Name under which the decision about unfinished work is stored. */
export const unfinishedName = "unfinished";

/** Returns what was decided about unfinished work. */
export const findUnfinished = (decisions: readonly DecisionRow[]) =>
  (decisions.find(({ name }) => name === unfinishedName)?.value.decision ?? null) as
    | MoveContext["options"]["unfinished"]
    | null;

/** Name under which an assessment is stored. */
export const assessedName = "assessed";

function findAssessed(context: MoveContext, decisions: readonly DecisionRow[]): Facts["assessed"] {
  const { assessed, switching: { by, source } } = context;
  const stored = decisions.find(({ name }) => name === assessedName);
  const value = stored?.value as (Assessed & { accepted: boolean }) | undefined;
  // The stored assessment belongs to another MongoDB.
  if (value && value.identity === source.identity) {
    return Object.assign({}, value, { by: stored!.decided_by, at: stored!.decided_at });
  }
  return assessed && Object.assign({}, assessed, { accepted: true, by, at: undefined });
}

/** Reads all facts. */
export async function readFacts(context: MoveContext): Promise<Facts> {
  const { pool } = context.switching;
  const schemaFault = await findSchemaFault(pool);
  const target = schemaFault === undefined ? await readTarget(context) : undefined;
  return {
    schemaFault,
    assessed: findAssessed(context, target?.decisions ?? []),
    holder: await findMoveHolder(pool as Sql),
    target,
  };
}
