/** The faults of the switch rig. Each undoes what it did before it returns. */
import { disturb } from "../live/faults.ts";
import type { Supervised } from "../live/world.ts";
import type { ProxyMode } from "../proxy.ts";
import type { Random } from "../random.ts";
import { pause } from "../servers.ts";
import type { SwitchFault } from "./plan.ts";
import type { Links, SwitchWorld } from "./world.ts";

type Inject = (world: SwitchWorld, random: Random) => Promise<void>;

const kill = (choose: (world: SwitchWorld, random: Random) => Supervised): Inject => (world, random) =>
  Promise.resolve(choose(world, random).signal("SIGKILL"));

const stop =
  (choose: (world: SwitchWorld, random: Random) => Supervised, minMs: number, maxMs: number): Inject =>
  async (world, random) => {
    const chosen = choose(world, random);
    chosen.signal("SIGSTOP");
    await pause(random.between(minMs, maxMs));
    chosen.signal("SIGCONT");
  };

function signalOperator({ operator }: SwitchWorld, name: Deno.Signal): void {
  try {
    operator?.child.kill(name);
  } catch {
    // It has just ended.
  }
}

const stopOperator = (minMs: number, maxMs: number): Inject => async (world, random) => {
  const { operator } = world;
  signalOperator(world, "SIGSTOP");
  await pause(random.between(minMs, maxMs));
  signalOperator(Object.assign({}, world, { operator }), "SIGCONT");
};

const cuts: readonly ProxyMode[] = ["refuse", "hold", "mute"];

const cut = (
  choose: (random: Random) => keyof Links,
  minMs = 100,
  maxMs = 3000,
): Inject =>
async ({ links }, random) =>
  await disturb(links[choose(random)], random.pick(cuts), random.between(minMs, maxMs));

const slow = (choose: (random: Random) => keyof Links): Inject => async ({ links }, random) =>
  await disturb(links[choose(random)], "slow", random.between(2000, 9000));

const api = ({ apis }: SwitchWorld, random: Random) => random.pick(apis);

export const injections: Record<SwitchFault, Inject> = {
  kill_api: kill(api),
  pause_api: stop(api, 200, 1800),
  pause_api_long: stop(api, 6000, 9000),
  kill_sync: kill(({ sync }) => sync),
  pause_sync: stop(({ sync }) => sync, 200, 2000),
  kill_back: kill(({ back }) => back),
  pause_back: stop(({ back }) => back, 200, 2000),
  kill_operator: (world) => Promise.resolve(signalOperator(world, "SIGKILL")),
  pause_operator: stopOperator(200, 2000),
  pause_operator_long: stopOperator(7000, 9000),
  kill_old: kill(({ old }) => old),
  pause_old: stop(({ old }) => old, 200, 3000),
  crash_postgres: ({ lane }) => lane.postgres.restart(),
  shut_down_postgres: ({ lane }) => lane.postgres.restart("SIGINT"),
  async pause_postgres({ lane: { postgres } }, random) {
    await postgres.signal("SIGSTOP");
    await pause(random.between(200, 3000));
    await postgres.signal("SIGCONT");
  },
  async terminate_sessions({ sql }) {
    await sql`
      select pg_terminate_backend(pid)
      from pg_stat_activity
      where datname = current_database() and application_name like 'contactsheet%'`;
  },
  kill_mongo: ({ lane }) => lane.mongo.restart(),
  async pause_mongo({ lane: { mongo } }, random) {
    Deno.kill(mongo.pid, "SIGSTOP");
    await pause(random.between(200, 3000));
    Deno.kill(mongo.pid, "SIGCONT");
  },
  kill_redis: ({ lane }, random) => lane.redis.restart(random.between(0, 2000)),
  async pause_redis({ lane: { redis } }, random) {
    redis.signal("SIGSTOP");
    await pause(random.between(200, 2000));
    redis.signal("SIGCONT");
  },
  cut_api_postgres: cut((random) => random.pick(["api0_postgres", "api1_postgres"])),
  cut_api_postgres_long: cut((random) => random.pick(["api0_postgres", "api1_postgres"]), 8000, 14_000),
  cut_api_old: cut((random) => random.pick(["api0_old", "api1_old"])),
  cut_api_redis: cut(() => "api_redis"),
  cut_old_mongo: cut(() => "old_mongo"),
  cut_follower_postgres: cut(() => "follower_postgres"),
  cut_follower_mongo: cut(() => "follower_mongo"),
  cut_operator_postgres: cut(() => "operator_postgres"),
  cut_operator_mongo: cut(() => "operator_mongo"),
  cut_operator_old: cut(() => "operator_old"),
  slow_old: slow((random) => random.pick(["api0_old", "api1_old"])),
  slow_postgres: slow((random) => random.pick(["api0_postgres", "api1_postgres"])),
  slow_follower: slow(() => "follower_mongo"),
};
