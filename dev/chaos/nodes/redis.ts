/** The Redis of a rig. It can be killed and restarted, and it can fail over to another node. */
import { createClient } from "redis";
import { findFreePort } from "../../servers/ports.ts";
import { startRedis } from "../../servers/redis.ts";
import { startProxy } from "../proxy.ts";
import { createSequence, pause, retry } from "../servers.ts";

/**
 * Sends commands to a Redis. The answer of a rejected command is null, and so is every answer if Redis is down.
 *
 * @param required whether to throw if Redis is down
 */
export async function sendCommands(url: string, commands: string[][], required = false): Promise<unknown[]> {
  const client = createClient({
    url,
    RESP: 2,
    socket: { connectTimeout: 3_000, reconnectStrategy: false },
  });
  client.on("error", () => {});
  try {
    await client.connect();
    const answers: unknown[] = [];
    for (const command of commands) answers.push(await client.sendCommand(command).catch(() => null));
    return answers;
  } catch (error) {
    if (required) throw error;
    return commands.map(() => null);
  } finally {
    try {
      client.destroy();
    } catch {
      // The connection was never opened.
    }
  }
}

/** A course of a failover. */
export interface RedisFailover {
  /** Time in milliseconds from the end of the old primary until the address moves. */
  readOnlyMs: number;
  /** Whether the old primary answers reads as a replica. Otherwise it has no primary and refuses them too. */
  answersReads: boolean;
}

type Running = Awaited<ReturnType<typeof startRedis>>;

/** A Redis server without persistence. A failover replaces its node and leaves the old one up until `retire()`. */
export class RigRedis implements AsyncDisposable {
  #nodePort = findFreePort();
  #running: Running | undefined;
  readonly #retired: Running[] = [];
  readonly #address = startProxy(this.#nodePort);
  readonly #runAlone = createSequence();

  /** Port of the address that the workers use. */
  get port(): number {
    return this.#address.port;
  }

  /** URL of the present node. */
  get url(): string {
    return `redis://127.0.0.1:${this.#nodePort}/0`;
  }

  async #startIfDown(): Promise<Running> {
    return this.#running ??= await startRedis({ port: this.#nodePort });
  }

  /** Starts the server if it is down. */
  async startIfDown(): Promise<void> {
    await this.#runAlone(() => this.#startIfDown());
  }

  /** Kills the server if it runs. */
  kill(): Promise<void> {
    return this.#runAlone(async () => {
      const running = this.#running;
      this.#running = undefined;
      if (running) await end(running);
    });
  }

  /** Makes the server a replica of a new primary, and then moves the address there. Open connections stay. */
  failOver(course: RedisFailover): Promise<void> {
    return this.#runAlone(() => this.#failOver(course));
  }

  async #failOver({ readOnlyMs, answersReads }: RedisFailover): Promise<void> {
    const old = await this.#startIfDown();
    const [port, oldPort] = [findFreePort(), this.#nodePort];
    const next = await startRedis({ port });
    this.#retired.push(old);
    await sendCommands(old.url, [["CONFIG", "SET", "repl-diskless-sync-delay", "0"]]);
    await sendCommands(next.url, [["REPLICAOF", "127.0.0.1", String(oldPort)]], true);
    await retry(async () => {
      const [info] = await sendCommands(next.url, [["INFO", "replication"]], true);
      if (!String(info).includes("master_link_status:up")) throw new Error("the replica is not synchronous");
    });
    await sendCommands(next.url, [["REPLICAOF", "NO", "ONE"]], true);
    await sendCommands(old.url, [
      ["CONFIG", "SET", "replica-serve-stale-data", answersReads ? "yes" : "no"],
      ["REPLICAOF", "127.0.0.1", String(answersReads ? port : findFreePort())],
    ]);
    this.#running = next;
    this.#nodePort = port;
    await pause(readOnlyMs);
    this.#address.to = port;
  }

  /** Ends the nodes that failovers left behind. */
  async retire(): Promise<void> {
    for (const node of this.#retired.splice(0)) await end(node);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#address.stop();
    await this.retire();
    await this.kill();
  }
}

async function end(running: Running): Promise<void> {
  Deno.kill(running.pid, "SIGKILL");
  await running.stop();
}
