/** What the parts of the bench share: both systems without proxies, and requests. */
import { ObjectId } from "mongodb";
import { changeTraffic, type Phase, readTraffic } from "../../db/traffic/traffic.ts";
import { listFrontProcesses } from "../../db/traffic/processes.ts";
import type { LaneServers } from "../../dev/chaos/switch/lane.ts";
import type { SwitchPlan } from "../../dev/chaos/switch/plan.ts";
import { openSystems, secret, type Systems } from "../../dev/chaos/switch/systems.ts";
import { createTokens } from "../../routes/common/tokens.ts";
import type { Report } from "../report.ts";

/** What every part gets. */
export interface Bench {
  /** A copy of the project, which later edits do not reach. */
  root: URL;
  servers: LaneServers;
  report: Report;
  /** Cut-overs and rollbacks. */
  rounds: number;
  /** Duration of a measurement of throughput. */
  seconds: number;
  /** Subtasks of the large task. */
  subtasks: number;
}

/** A plan without faults. */
const plan: SwitchPlan = {
  seed: 0,
  switches: 0,
  share: 25,
  phaseMs: 0,
  clients: 0,
  recovery: "abort",
  faults: [],
  place: undefined,
};

/** Opens both systems; each process reaches the servers directly. */
export const openBenchSystems = ({ root, servers }: Bench): Promise<Systems> =>
  openSystems(root, plan, servers);

/** Changes the phase, whatever the order, and waits until all API processes work by it. */
export async function forcePhase({ sql }: Systems, phase: Phase): Promise<void> {
  const { version } = await readTraffic(sql);
  const change = { phase, share: 0, by: "bench", reason: "bench", forced: true, holdMs: null };
  const changed = await changeTraffic(sql, version, change);
  if (!changed) throw new Error("another change came first");
  const isKnown = async () =>
    (await listFrontProcesses(sql)).every(({ acknowledged }) => acknowledged >= changed.version);
  while (!await isKnown()) await new Promise((resolve) => setTimeout(resolve, 20));
}

export const signToken = (email: string): Promise<string> =>
  createTokens(secret, 60).sign({ sub: new ObjectId().toHexString(), email });

/** Returns a request as the load generator sends it. */
export const toGet = (path: string, token: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n\r\n`;

export const portOf = (origin: string): number => Number(new URL(origin).port);
