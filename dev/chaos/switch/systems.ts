/** Both systems as real processes: two API processes, the old backend, sync, back, and the commands of an operator. */
import { type Db, MongoClient } from "mongodb";
import { connect, type Pool } from "../../../db/pg/connect.ts";
import { findFreePort } from "../../servers/ports.ts";
import { noSettings } from "../../servers/programs.ts";
import { Supervised } from "../live/world.ts";
import { retry, tolerantOptions } from "../servers.ts";
import type { LaneServers } from "./lane.ts";
import type { PlacedProcess, SwitchPlan } from "./plan.ts";

export const secret = "a key of the switch rig, 32 bytes";
const preloadPath = "dev/chaos/switch/preload.ts";
/** What a process says at the failpoint of the plan. */
export const reachedMark = "failpoint ";
const startMs = 60_000;

/** One connection between two sides. Sync and back are the followers, cut-over and rollback the operator. */
export const linkNames = [
  "api0_postgres",
  "api1_postgres",
  "api0_old",
  "api1_old",
  "api_redis",
  "old_mongo",
  "follower_postgres",
  "follower_mongo",
  "operator_postgres",
  "operator_mongo",
  "operator_old",
] as const;
export type LinkName = (typeof linkNames)[number];

/** A command of the migrator that runs now. */
export interface Running {
  child: Deno.ChildProcess;
  ended: Promise<{ code: number; signal: Deno.Signal | null; out: string; err: string }>;
}

/** Both systems. */
export interface Systems extends AsyncDisposable {
  root: URL;
  /** The plan of the present run. */
  plan: SwitchPlan;
  lane: LaneServers;
  /** File with the failpoint of the present run. */
  failpoint: string;
  /** Pool of the rig, which no fault disturbs but those of PostgreSQL itself. */
  sql: Pool;
  db: Db;
  apis: Supervised[];
  origins: string[];
  old: Supervised;
  oldOrigin: string;
  sync: Supervised;
  back: Supervised;
  /** The cut-over or rollback that runs now. */
  operator: Running | undefined;
  /** Environment of the operator. */
  env: Record<string, string>;
}

/** Starts a command of the operator. @param process whose failpoint it has, if the plan names one */
export function startOperator(systems: Systems, args: string[], process?: PlacedProcess): Running {
  const { root, plan, env } = systems;
  const isArmed = process !== undefined && process === plan.place?.process;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-check", "--quiet", "--preload", new URL(preloadPath, root).pathname],
      ...[new URL("migrate/main.ts", root).pathname, "data", ...args],
    ],
    env: Object.assign({}, env, isArmed ? { CHAOS_ARMED: "1" } : {}),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const ended = child.output().then(({ code, signal, stdout, stderr }) => {
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
    return { code, signal, out: out!, err: err! };
  });
  const running = { child, ended };
  systems.operator = running;
  void ended.then(() => {
    if (systems.operator === running) systems.operator = undefined;
  });
  return running;
}

/** Addresses of the servers, for each process. */
interface Addresses {
  name: string;
  postgres(link: LinkName): string;
  mongo(link: LinkName): string;
  old(link: LinkName): string;
}

function findAddresses(lane: LaneServers, name: string, portOf: (link: LinkName) => number): Addresses {
  return {
    name,
    postgres(link) {
      const url = new URL(lane.postgres.url(name));
      url.port = String(portOf(link));
      return url.href;
    },
    // Through a proxy, the client must not follow the address that the server names.
    mongo: (link) => `mongodb://127.0.0.1:${portOf(link)}/?directConnection=true`,
    old: (link) => `http://127.0.0.1:${portOf(link)}`,
  };
}

type Supervise = (args: string[], env: Record<string, string>, program?: string) => Supervised;

function createApis({ postgres, old }: Addresses, supervise: Supervise) {
  const links = [["api0_postgres", "api0_old"], ["api1_postgres", "api1_old"]] as const;
  const ports = links.map(() => findFreePort());
  const apis = links.map(([toPostgres, toOld], i) =>
    supervise([], {
      DATABASE_URL: postgres(toPostgres),
      LEGACY_API_URL: old(toOld),
      HOST: "127.0.0.1",
      PORT: String(ports[i]),
      SHADOW_PERCENT: "50",
      LOG_LEVEL: "WARNING",
    }, "main.ts")
  );
  return { apis, origins: ports.map((port) => `http://127.0.0.1:${port}`) };
}

function createFollowers({ postgres, mongo }: Addresses, supervise: Supervise) {
  const env = { DATABASE_URL: postgres("follower_postgres"), MONGODB_URL: mongo("follower_mongo") };
  return {
    sync: supervise(["data", "sync", "--from", "mongodb", "--accept-short-oplog", "--quiet"], env),
    back: supervise(["data", "back", "--to", "mongodb", "--quiet"], env),
  };
}

/** The played old backend. Its executor draws nothing: only people write. */
const oldArgs = ({ name, mongo }: Addresses, port: number): string[] => [
  JSON.stringify({ mongoUrl: mongo("old_mongo"), database: name, secret, port, executor: { slots: 0 } }),
];

/**
 * Opens both systems in phase `old`, with an empty MongoDB. Nothing runs yet.
 *
 * @param toPort port at which a process reaches a server, from the link and the server's own port
 */
export async function openSystems(
  root: URL,
  plan: SwitchPlan,
  lane: LaneServers,
  toPort: (link: LinkName, serverPort: number) => number = (_, serverPort) => serverPort,
): Promise<Systems> {
  const name = `switch_${plan.seed}_${crypto.randomUUID().slice(0, 8)}`;
  const url = await lane.postgres.create(name, root);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => lane.postgres.drop(name));
  const poolOptions = Object.assign({ max: 4, name: "rig" }, tolerantOptions);
  const sql = stack.adopt(connect(url, poolOptions), (pool) => pool.end({ timeout: 1 }));
  const client = await new MongoClient(lane.mongo.url, { serverSelectionTimeoutMS: 20_000 }).connect();
  stack.defer(() => client.close());
  const db = client.db(name);
  stack.defer(async () => void await db.dropDatabase().catch(() => {}));
  const failpoint = await Deno.makeTempFile({ prefix: "contactsheet-failpoint-" });
  stack.defer(() => Deno.remove(failpoint));
  const oldPort = findFreePort();
  const { postgres: { port: postgres }, mongo: { port: mongo }, redis: { port: redis } } = lane;
  const servers: Record<string, number> = { postgres, mongo, redis, old: oldPort };
  const ports = new Map(linkNames.map((link) => [link, toPort(link, servers[link.split("_")[1]!]!)]));
  const addresses = findAddresses(lane, name, (link) => ports.get(link)!);
  const common = Object.assign({}, noSettings, {
    SECRET_KEY: secret,
    DB_NAME: name,
    REDIS_URL: `redis://127.0.0.1:${ports.get("api_redis")}/0`,
    ADMIN_PORT: "0",
    USER: "rig",
    CHAOS_ROOT: root.href,
    CHAOS_FAILPOINT: failpoint,
  });
  const preload = new URL(preloadPath, root).pathname;
  const supervise: Supervise = (args, env, program = "migrate/main.ts") => {
    const supervised = new Supervised(args, { root, env: Object.assign({}, common, env), preload, program });
    stack.defer(() => supervised.stop("SIGKILL"));
    return supervised;
  };
  const systems = Object.assign(
    { root, plan, lane, failpoint, sql, db, operator: undefined },
    createApis(addresses, supervise),
    createFollowers(addresses, supervise),
    {
      old: supervise(oldArgs(addresses, oldPort), {}, "dev/servers/old_backend/main.ts"),
      oldOrigin: `http://127.0.0.1:${oldPort}`,
      env: Object.assign({}, common, {
        DATABASE_URL: addresses.postgres("operator_postgres"),
        MONGODB_URL: addresses.mongo("operator_mongo"),
        LEGACY_API_URL: addresses.old("operator_old"),
      }),
    },
  );
  const opened = stack.move();
  return Object.assign(systems, { [Symbol.asyncDispose]: () => opened.disposeAsync() });
}

/** Waits until a server answers. */
export async function waitHealthy(origin: string): Promise<void> {
  await retry(async () => {
    const response = await fetch(`${origin}/health`);
    await response.body?.cancel();
    if (response.status !== 200) throw new Error(`${origin} answers ${response.status}`);
  }, startMs);
}

/** Starts the old backend, the API processes and the sync. */
export async function startSystems({ old, oldOrigin, apis, origins, sync }: Systems): Promise<void> {
  old.start();
  sync.start();
  await waitHealthy(oldOrigin);
  for (const api of apis) api.start();
  for (const origin of origins) await waitHealthy(origin);
}
