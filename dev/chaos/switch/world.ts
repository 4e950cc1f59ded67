/** Both systems of a run, each connection through a proxy of its own. */
import { type Proxy, startProxy } from "../proxy.ts";
import { type LaneServers, startLaneServers } from "./lane.ts";
import type { SwitchPlan } from "./plan.ts";
import type { ArmedFailpoint } from "./preload.ts";
import { type LinkName, openSystems, type Systems } from "./systems.ts";

export type Links = Record<LinkName, Proxy>;

/** Everything that a run uses. */
export interface SwitchWorld extends Systems {
  links: Links;
  /** Runs so far. */
  runs: number;
}

/** A lane, and the world of its last run if that is at rest with the old backend in charge. */
export interface SwitchLane extends AsyncDisposable {
  servers: LaneServers;
  world: SwitchWorld | undefined;
}

export async function openSwitchLane(): Promise<SwitchLane> {
  const servers = await startLaneServers();
  const lane: SwitchLane = {
    servers,
    world: undefined,
    async [Symbol.asyncDispose]() {
      await lane.world?.[Symbol.asyncDispose]();
      await servers[Symbol.asyncDispose]();
    },
  };
  return lane;
}

/** Opens both systems in phase `old`, with an empty MongoDB. Nothing runs yet. */
export async function openSwitchWorld(root: URL, plan: SwitchPlan, lane: SwitchLane): Promise<SwitchWorld> {
  const links = {} as Links;
  const systems = await openSystems(root, plan, lane.servers, (link, serverPort) => {
    links[link] = startProxy(serverPort);
    return links[link].port;
  });
  const close = systems[Symbol.asyncDispose];
  return Object.assign(systems, {
    links,
    runs: 0,
    async [Symbol.asyncDispose]() {
      await close();
      for (const link of Object.values(links)) link.stop();
    },
  });
}

/** Writes the failpoint of the plan, for the processes that are told to read it. */
export async function writeFailpoint({ plan: { place }, failpoint }: SwitchWorld): Promise<void> {
  if (!place) return;
  const { point, signal, ms } = place;
  const armed: ArmedFailpoint = { point, signal, ms };
  await Deno.writeTextFile(failpoint, JSON.stringify(armed));
}
