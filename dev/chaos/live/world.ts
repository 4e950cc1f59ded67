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
  /** Root of the project whose schema the template has. */
  #template: string | undefined;

  private constructor(readonly folder: string, readonly port: number, readonly durable: boolean) {}

  /** @param durable whether commits survive a crash of the machine; faults of this rig end processes only */
  static async start({ durable = false } = {}): Promise<LanePostgres> {
    const folder = await Deno.makeTempDir({ prefix: "contactsheet-chaos-pg-" });
    const lane = new LanePostgres(folder, findFreePort(), durable);
    await lane.#start();
    return lane;
  }

  async #start(): Promise<void> {
    const { folder, durable, port } = this;
    this.#server = await startPostgres({ folder, keep: true, durable, port });
  }

  url(name: string): string {
    return this.#server!.url(name);
  }

  async #inDatabase<T>(name: string, work: (sql: Pool) => Promise<T>): Promise<T> {
    const sql = connect(this.url(name), { max: 1 });
    try {
      return await work(sql);
    } finally {
      await sql.end({ timeout: 1 });
    }
  }

  /** Creates an empty database with the schema of the project, or of a copy of it. @returns its URL */
  async create(name: string, root: URL): Promise<string> {
    await this.#inDatabase("postgres", async (admin) => {
      if (this.#template !== root.href) {
        // A crash of the server must not lose what was committed. Without fsync this costs little.
        await admin`alter role current_user set synchronous_commit = on`;
        await admin`drop database if exists migrated`;
        await admin`create database migrated`;
        const steps = await readSteps(new URL("migrate/schema/", root));
        await this.#inDatabase("migrated", (sql) => migrateUp(sql, { steps }));
        this.#template = root.href;
      }
      await admin`create database ${admin(name)} template migrated`;
    });
    return this.url(name);
  }

  /** Drops a database. */
  async drop(name: string): Promise<void> {
    await retry(() =>
      this.#inDatabase("postgres", (admin) => admin`drop database ${admin(name)} with (force)`)
    );
  }

  async #postmaster(): Promise<number> {
    return Number((await Deno.readTextFile(`${this.folder}/postmaster.pid`)).split("\n")[0]);
  }

  /** Sends a signal to all processes of the server. */
  async signal(name: Deno.Signal): Promise<void> {
    const postmaster = await this.#postmaster();
    const { stdout } = await new Deno.Command("pgrep", { args: ["-P", String(postmaster)] }).output();
    const children = new TextDecoder().decode(stdout).trim().split("\n").filter((line) => line !== "");
    for (const pid of [postmaster, ...children.map(Number)]) {
      try {
        Deno.kill(pid, name);
      } catch {
        // It has just ended.
      }
    }
  }

  /** Ends the server with a signal, by default as a crash would, and starts it again. */
  async restart(signal: Deno.Signal = "SIGQUIT"): Promise<void> {
    Deno.kill(await this.#postmaster(), signal);
    await this.#server!.stop().catch(() => {});
    await retry(() => this.#start());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.stop().catch(() => {});
    await Deno.remove(this.folder, { recursive: true }).catch(() => {});
  }
}

/** What a supervised process is started with, besides its arguments. */
export interface SupervisedOptions {
  /** The project, or a copy of it from which a guard was removed. */
  root: URL;
  env: Record<string, string>;
  /** Program, relative to the root; the migrator by default. */
  program?: string;
  /** Loaded before the program. */
  preload?: string;
}

/** A process that is started again when it fails, until it is stopped. */
export class Supervised {
  #child: Deno.ChildProcess | undefined;
  #stopped = true;
  #running: Promise<void> = Promise.resolve();
  /** The last lines that it wrote, for reports. */
  readonly lines: string[] = [];

  constructor(readonly args: readonly string[], readonly options: SupervisedOptions) {}

  /** Whether it was not started, was stopped, or has done its work. */
  get isStopped(): boolean {
    return this.#stopped;
  }

  start(): void {
    this.#stopped = false;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    const { root, env, program = "migrate/main.ts", preload } = this.options;
    const flags = ["--no-check", "--quiet", ...(preload === undefined ? [] : ["--preload", preload])];
    while (!this.#stopped) {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", ...flags, new URL(program, root).pathname, ...this.args],
        env,
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).spawn();
      this.#child = child;
      void this.#read(child.stderr);
      const { code, signal } = await child.status;
      this.lines.push(`ended with ${signal ?? code}`);
      // It has done its work.
      if (code === 0) this.#stopped = true;
      if (!this.#stopped) await pause(100);
    }
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      this.lines.push(...text.trimEnd().split("\n"));
      this.lines.splice(0, Math.max(0, this.lines.length - 40));
    }
  }

  /** Undefined before its first start. */
  get pid(): number | undefined {
    return this.#child?.pid;
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
  const sync = new Supervised(["data", "sync", "--from", "mongodb", "--accept-short-oplog"], { root, env });
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
      await postgres.drop(name);
    },
  };
}
