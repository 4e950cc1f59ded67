/** The servers and processes of a run: PostgreSQL, MongoDB, the proxies between them and the sync, and its supervisor. */
import { type Db, MongoClient } from "mongodb";
import { connect, type Pool } from "../../../db/pg/connect.ts";
import { migrateUp, readSteps } from "../../../migrate/schema/runner.ts";
import { findFreePort } from "../../servers/ports.ts";
import { findMongoBinary, startMongo } from "../../servers/mongo.ts";
import { type MongoSet, startMongoSet } from "../../servers/mongo_set.ts";
import { type LocalPostgres, startPostgres } from "../../servers/postgres.ts";
import { type Clock, createClock } from "../clock.ts";
import { type Proxy, startProxy } from "../proxy.ts";
import { pause, retry, tolerantOptions } from "../servers.ts";
import type { LivePlan } from "./plan.ts";

const databaseName = "old";

/** PostgreSQL of a lane, which its runs use one after another. */
export class LanePostgres implements AsyncDisposable {
  #server: LocalPostgres | undefined;

  private constructor(readonly folder: string, readonly port: number) {}

  static async start(): Promise<LanePostgres> {
    const lane = new LanePostgres(
      await Deno.makeTempDir({ prefix: "contactsheet-chaos-pg-" }),
      findFreePort(),
    );
    await lane.#start();
    return lane;
  }

  async #start(): Promise<void> {
    this.#server = await startPostgres({ folder: this.folder, keep: true, durable: false, port: this.port });
  }

  url(name: string): string {
    return this.#server!.url(name);
  }

  /** Creates an empty database with the schema of the project, or of a copy of it. @returns its URL */
  async create(name: string, root: URL): Promise<string> {
    const admin = connect(this.url("postgres"), { max: 1 });
    // A crash of the server must not lose what was committed. Without fsync this costs little.
    await admin`alter role current_user set synchronous_commit = on`;
    await admin`create database ${admin(name)}`;
    await admin.end();
    const url = this.url(name);
    const sql = connect(url, { max: 1 });
    await migrateUp(sql, { steps: await readSteps(new URL("migrate/schema/", root)) });
    await sql.end();
    return url;
  }

  /** Ends the server with a signal, by default as a crash would, and starts it again. */
  async restart(signal: Deno.Signal = "SIGQUIT"): Promise<void> {
    const [pid] = (await Deno.readTextFile(`${this.folder}/postmaster.pid`)).split("\n");
    Deno.kill(Number(pid), signal);
    await this.#server!.stop().catch(() => {});
    await retry(() => this.#start());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.stop().catch(() => {});
    await Deno.remove(this.folder, { recursive: true }).catch(() => {});
  }
}

/** A process of the migrator that is started again when it ends, until it is stopped. */
export class Supervised {
  #child: Deno.ChildProcess | undefined;
  #stopped = false;
  #running: Promise<void> = Promise.resolve();
  /** The last lines that it wrote, for reports. */
  readonly lines: string[] = [];

  /** @param root the project, or a copy of it from which a guard was removed */
  constructor(readonly root: URL, readonly args: readonly string[], readonly env: Record<string, string>) {}

  start(): void {
    this.#stopped = false;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const child = new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "-A",
          "--no-check",
          "--quiet",
          new URL("migrate/main.ts", this.root).pathname,
          ...this.args,
        ],
        env: this.env,
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).spawn();
      this.#child = child;
      void this.#read(child.stderr);
      const { code, signal } = await child.status;
      this.lines.push(`ended with ${signal ?? code}`);
      if (!this.#stopped) await pause(100);
    }
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      this.lines.push(...text.trimEnd().split("\n"));
      this.lines.splice(0, Math.max(0, this.lines.length - 40));
    }
  }

  signal(name: Deno.Signal): void {
    try {
      this.#child?.kill(name);
    } catch {
      // It has just ended.
    }
  }

  async stop(name: Deno.Signal = "SIGTERM"): Promise<void> {
    this.#stopped = true;
    this.signal("SIGCONT");
    this.signal(name);
    await this.#running;
  }
}

/** MongoDB of a run. */
export interface WorldMongo extends AsyncDisposable {
  /** URL for the rig, without a proxy. */
  url: string;
  /** URL for the sync. */
  syncUrl: string;
  proxy: Proxy | undefined;
  set: MongoSet | undefined;
  /** URL of the present primary alone. */
  primaryUrl(): Promise<string>;
  kill(): Promise<void>;
}

async function openMongo({ members, hasSmallOplog }: LivePlan): Promise<WorldMongo> {
  const binary = (await findMongoBinary())!;
  if (members === 3) {
    const set = await startMongoSet(binary);
    const url = set.url.replace("/?", `/${databaseName}?`);
    return {
      url,
      syncUrl: url,
      proxy: undefined,
      set,
      primaryUrl: async () => `mongodb://127.0.0.1:${await set.primaryPort()}/`,
      async kill() {
        const port = await set.killPrimary();
        await pause(500);
        set.restart(port);
      },
      [Symbol.asyncDispose]: () => set[Symbol.asyncDispose](),
    };
  }
  const mongo = await startMongo(binary, { replicaSet: true, ...(hasSmallOplog ? { oplogMb: 1 } : {}) });
  const url = mongo.url.replace("/?", `/${databaseName}?`);
  const proxy = startProxy(Number(new URL(url).port));
  return {
    url,
    // Through the proxy, the client must not follow the address that the server names.
    syncUrl: `mongodb://127.0.0.1:${proxy.port}/${databaseName}?directConnection=true`,
    proxy,
    set: undefined,
    primaryUrl: () => Promise.resolve(mongo.url),
    async kill() {
      await mongo.restart();
    },
    async [Symbol.asyncDispose]() {
      proxy.stop();
      await mongo[Symbol.asyncDispose]();
    },
  };
}

/** Everything that a run uses. */
export interface World extends AsyncDisposable {
  root: URL;
  plan: LivePlan;
  postgres: LanePostgres;
  /** URL of the target without a proxy. */
  url: string;
  sql: Pool;
  postgresProxy: Proxy;
  mongo: WorldMongo;
  client: MongoClient;
  db: Db;
  /** Settings of the processes, through the proxies. */
  env: Record<string, string>;
  sync: Supervised;
  /** The clock of the processes. Undefined if the machine has no libfaketime. */
  clock: Clock | undefined;
}

/** Opens the servers of a run, with an empty target and the three collections. */
export async function openWorld(root: URL, plan: LivePlan, postgres: LanePostgres): Promise<World> {
  const name = `chaos_${plan.seed}_${crypto.randomUUID().slice(0, 8)}`;
  const url = await postgres.create(name, root);
  const sql = connect(url, Object.assign({ max: 3, name: "rig" }, tolerantOptions));
  const postgresProxy = startProxy(postgres.port);
  const mongo = await openMongo(plan);
  const client = await new MongoClient(mongo.url, { serverSelectionTimeoutMS: 20_000 }).connect();
  const db = client.db(databaseName);
  for (const collection of ["users", "tasks", "dramatiq_tasks"]) await db.createCollection(collection);
  const proxied = new URL(url);
  proxied.port = String(postgresProxy.port);
  const clock = plan.faults.some(({ kind }) => kind === "clock_step") ? await createClock() : undefined;
  const settings = { DATABASE_URL: proxied.href, MONGODB_URL: mongo.syncUrl, DB_NAME: databaseName };
  const env = Object.assign(settings, clock?.env);
  const sync = new Supervised(root, ["data", "sync", "--from", "mongodb", "--accept-short-oplog"], env);
  return {
    root,
    plan,
    postgres,
    url,
    sql,
    postgresProxy,
    mongo,
    client,
    db,
    env,
    sync,
    clock,
    async [Symbol.asyncDispose]() {
      await sync.stop("SIGKILL");
      await clock?.[Symbol.asyncDispose]();
      await client.close();
      await mongo[Symbol.asyncDispose]();
      postgresProxy.stop();
      await sql.end({ timeout: 1 });
      const admin = connect(postgres.url("postgres"), { max: 1 });
      await retry(() => admin`drop database ${admin(name)} with (force)`);
      await admin.end();
    },
  };
}
