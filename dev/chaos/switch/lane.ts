/** The servers that the runs of a lane use one after another: PostgreSQL, MongoDB and Redis. */
import { findMongoBinary, type LocalMongo, startMongo } from "../../servers/mongo.ts";
import { findFreePort } from "../../servers/ports.ts";
import { startRedis } from "../../servers/redis.ts";
import { LanePostgres } from "../live/world.ts";
import { pause } from "../servers.ts";

/** Redis of a lane. */
export class LaneRedis implements AsyncDisposable {
  readonly port = findFreePort();
  #server: Awaited<ReturnType<typeof startRedis>> | undefined;

  async start(): Promise<void> {
    this.#server = await startRedis({ port: this.port });
  }

  signal(name: Deno.Signal): void {
    Deno.kill(this.#server!.pid, name);
  }

  /** Ends it with SIGKILL and starts it again, empty. */
  async restart(afterMs: number): Promise<void> {
    this.signal("SIGKILL");
    await this.#server!.stop();
    await pause(afterMs);
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.stop();
  }
}

export interface LaneServers extends AsyncDisposable {
  postgres: LanePostgres;
  mongo: LocalMongo;
  redis: LaneRedis;
}

/** Starts the servers. @param durable whether commits of PostgreSQL survive a crash of the machine */
export async function startLaneServers({ durable = false } = {}): Promise<LaneServers> {
  await using opened = new AsyncDisposableStack();
  const postgres = opened.use(await LanePostgres.start({ durable }));
  const mongo = opened.use(await startMongo((await findMongoBinary())!, { replicaSet: true }));
  const redis = opened.use(new LaneRedis());
  await redis.start();
  const stack = opened.move();
  return { postgres, mongo, redis, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
