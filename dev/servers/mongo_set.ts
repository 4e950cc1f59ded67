/** A local replica set of three mongods, for tests of failovers. */
import { MongoClient } from "mongodb";
import { AppError } from "../../errors.ts";
import { findFreePort } from "./ports.ts";

/** One member of the set. */
interface Member {
  port: number;
  folder: string;
  process: Deno.ChildProcess | undefined;
}

/** A running replica set. */
export interface MongoSet extends AsyncDisposable {
  /** URL with all members, without a database. */
  url: string;
  /** Port of the present primary. */
  primaryPort(): Promise<number>;
  /** Kills the primary with SIGKILL. @returns its port */
  killPrimary(): Promise<number>;
  /** Stops the primary with SIGSTOP. @returns its port */
  pausePrimary(): Promise<number>;
  resume(port: number): void;
  /** Starts a killed member again, with its data. */
  restart(port: number): void;
  stepDown(): Promise<void>;
}

const waitMs = 30_000;
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

async function retry<T>(what: string, work: () => Promise<T>): Promise<T> {
  const end = Date.now() + waitMs;
  while (true) {
    try {
      return await work();
    } catch (cause) {
      if (Date.now() > end) {
        throw new AppError("database_unreachable", `starting a replica set: no ${what}`, { cause });
      }
      await pause(100);
    }
  }
}

const connectTo = async (port: number): Promise<MongoClient> =>
  await new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
    serverSelectionTimeoutMS: 2000,
  })
    .connect();

/** Runs a command at one member. */
async function runAt(port: number, command: Record<string, unknown>) {
  const client = await connectTo(port);
  try {
    return await client.db("admin").command(command);
  } finally {
    await client.close();
  }
}

class LocalMongoSet implements MongoSet {
  readonly url: string;

  constructor(readonly binary: string, readonly members: Member[]) {
    this.url = `mongodb://${members.map(({ port }) => `127.0.0.1:${port}`).join()}/?replicaSet=rs0`;
  }

  #start(member: Member): void {
    member.process = new Deno.Command(this.binary, {
      args: [
        ...[
          "--dbpath",
          member.folder,
          "--port",
          String(member.port),
          "--bind_ip",
          "127.0.0.1",
          "--nounixsocket",
        ],
        ...["--quiet", "--wiredTigerCacheSizeGB", "0.25", "--replSet", "rs0"],
        ...["--setParameter", "diagnosticDataCollectionEnabled=false"],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  async start(): Promise<void> {
    this.members.forEach((member) => this.#start(member));
    const members = this.members.map(({ port }, _id) => ({ _id, host: `127.0.0.1:${port}` }));
    // Short times, so that a failover takes seconds.
    const settings = { electionTimeoutMillis: 2000, heartbeatIntervalMillis: 500 };
    await retry("answer", () => runAt(this.members[0]!.port, { ping: 1 }));
    await retry("answer", () => runAt(this.members[1]!.port, { ping: 1 }));
    await retry("answer", () => runAt(this.members[2]!.port, { ping: 1 }));
    await runAt(this.members[0]!.port, { replSetInitiate: { _id: "rs0", members, settings } });
    await this.primaryPort();
  }

  #memberAt(port: number): Member {
    return this.members.find((member) => member.port === port)!;
  }

  primaryPort(): Promise<number> {
    return retry("primary", async () => {
      for (const { port, process } of this.members) {
        if (!process) continue;
        const { isWritablePrimary } = await runAt(port, { hello: 1 }).catch(() => ({
          isWritablePrimary: false,
        }));
        if (isWritablePrimary) return port;
      }
      throw new Error("no member is the primary");
    });
  }

  async killPrimary(): Promise<number> {
    const port = await this.primaryPort();
    const member = this.#memberAt(port);
    member.process!.kill("SIGKILL");
    await member.process!.status;
    member.process = undefined;
    return port;
  }

  async pausePrimary(): Promise<number> {
    const port = await this.primaryPort();
    this.#memberAt(port).process!.kill("SIGSTOP");
    return port;
  }

  resume(port: number): void {
    this.#memberAt(port).process?.kill("SIGCONT");
  }

  restart(port: number): void {
    const member = this.#memberAt(port);
    if (!member.process) this.#start(member);
  }

  async stepDown(): Promise<void> {
    await runAt(await this.primaryPort(), { replSetStepDown: 3, secondaryCatchUpPeriodSecs: 2, force: true })
      .catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { process, folder } of this.members) {
      if (process) {
        process.kill("SIGCONT");
        process.kill("SIGKILL");
        await process.status;
      }
      await Deno.remove(folder, { recursive: true });
    }
  }
}

/**
 * Starts a replica set of three members on free ports, with empty folders.
 *
 * @throws AppError database_unreachable
 */
export async function startMongoSet(binary: string): Promise<MongoSet> {
  const members: Member[] = [];
  for (let i = 0; i < 3; i++) {
    const folder = await Deno.makeTempDir({ prefix: "contactsheet-mongo-" });
    members.push({ port: findFreePort(), folder, process: undefined });
  }
  const set = new LocalMongoSet(binary, members);
  try {
    await set.start();
    return set;
  } catch (error) {
    await set[Symbol.asyncDispose]();
    throw error;
  }
}
