/** The faults of the live rig. Each undoes what it did before it returns. */
import { MongoClient } from "mongodb";
import type { Random } from "../random.ts";
import { pause, retry } from "../servers.ts";
import type { LiveFault } from "./plan.ts";
import { Supervised, type World } from "./world.ts";
import type { Proxy, ProxyMode } from "../proxy.ts";

type Inject = (world: World, random: Random) => Promise<void>;

const leaseMs = 10_000;

/** Disturbs the network for a time. */
export async function disturb(proxy: Proxy, mode: ProxyMode, ms: number): Promise<void> {
  proxy.set(mode);
  if (mode === "refuse") proxy.cut();
  await pause(ms);
  proxy.set("pass");
  // Bytes that were held back or lost belong to connections that no longer agree about their state.
  if (mode !== "slow") proxy.cut();
}

const through = (side: "postgres" | "mongo", mode: ProxyMode): Inject => async (world, random) => {
  const proxy = side === "postgres" ? world.postgresProxy : world.mongo.proxy;
  if (proxy) await disturb(proxy, mode, random.between(100, 3000));
};

async function pauseSync({ sync }: World, ms: number): Promise<void> {
  sync.signal("SIGSTOP");
  await pause(ms);
  sync.signal("SIGCONT");
}

/** Starts another process of the same kind, which must be refused or take over when the first one stands still. */
async function runSecond({ sync }: World, ms: number): Promise<void> {
  const second = new Supervised(sync.args, sync.options);
  second.start();
  await pause(ms);
  await second.stop();
}

/** Writes to another database until the oplog does not reach back to the beginning of the fault. */
async function overwriteOplog({ mongo }: World): Promise<void> {
  const client = await new MongoClient(mongo.url).connect();
  try {
    const oplog = client.db("local").collection("oplog.rs");
    const { operationTime } = await client.db("admin").command({ ping: 1 });
    const other = client.db("elsewhere").collection("fill");
    await retry(async () => {
      await other.insertMany(Array.from({ length: 100 }, () => ({ text: "x".repeat(20_000) })));
      const [first] = await oplog.find({}, { projection: { ts: 1 } }).sort({ $natural: 1 }).limit(1)
        .toArray();
      if (!first!.ts.greaterThan(operationTime)) throw new Error("the oplog still reaches back");
    }, 20_000);
  } finally {
    await client.close();
  }
}

/** Runs a command of the migrator. @throws Error when it does not end with 0 */
export async function runMigrate({ root, url, env }: World, ...args: string[]): Promise<void> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      "--quiet",
      new URL("migrate/main.ts", root).pathname,
      ...args,
    ],
    env: Object.assign({}, env, { DATABASE_URL: url }),
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (code !== 0) {
    const text = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("\n");
    throw new Error(`${args.join(" ")} ended with ${code}: ${text}`);
  }
}

/** Backs the target up, lets the sync go on, and restores the target. */
async function restoreTarget(world: World, random: Random): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-chaos-backup-" });
  try {
    await world.sync.stop();
    await runMigrate(world, "data", "backup", "--to", `${folder}/backup`, "--quiet");
    world.sync.start();
    await pause(random.between(500, 1500));
    await world.sync.stop();
    await runMigrate(world, "data", "restore", "--backup", `${folder}/backup`, "--replace", "--quiet");
  } finally {
    world.sync.start();
    await Deno.remove(folder, { recursive: true });
  }
}

export const injections: Record<LiveFault, Inject> = {
  kill_sync: ({ sync }) => Promise.resolve(sync.signal("SIGKILL")),
  pause_sync: (world, random) => pauseSync(world, random.between(200, 3000)),
  async pause_sync_long(world, random) {
    world.sync.signal("SIGSTOP");
    await runSecond(world, leaseMs + random.between(1000, 3000));
    world.sync.signal("SIGCONT");
  },
  second_sync: (world, random) => runSecond(world, random.between(1000, 3000)),
  async terminate_sessions({ sql }) {
    await sql`
      select pg_terminate_backend(pid)
      from pg_stat_activity
      where datname = current_database() and application_name = 'contactsheet-migrate'`;
  },
  restart_postgres: ({ postgres }) => postgres.restart(),
  shut_down_postgres: ({ postgres }) => postgres.restart("SIGINT"),
  cut_postgres: through("postgres", "refuse"),
  hold_postgres: through("postgres", "hold"),
  mute_postgres: through("postgres", "mute"),
  cut_mongo: through("mongo", "refuse"),
  hold_mongo: through("mongo", "hold"),
  kill_mongo: ({ mongo }) => mongo.kill(),
  step_down: async ({ mongo }) => await mongo.set?.stepDown(),
  async pause_primary({ mongo: { set } }, random) {
    if (!set) return;
    const port = await set.pausePrimary();
    await pause(random.between(500, 4000));
    set.resume(port);
  },
  async lose_position(world) {
    await world.sync.stop("SIGKILL");
    await overwriteOplog(world);
    world.sync.start();
  },
  restore_target: restoreTarget,
  async clock_step({ clock }, random) {
    await clock?.step(random.pick([-300, 300]));
    await pause(random.between(1500, 4000));
    await clock?.step(0);
  },
};
