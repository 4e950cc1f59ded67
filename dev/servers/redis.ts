/** A local Redis for the demo and the tests: the installed one, or one that is installed or downloaded. */
import { AppError } from "../../errors.ts";
import { findFreePort } from "./ports.ts";

/** A running Redis. */
export interface LocalRedis extends AsyncDisposable {
  url: string;
  /** Path of its program, or the package that downloaded it. */
  origin: string;
  stop(): Promise<void>;
}

const binaries = ["redis-server", "valkey-server"];

async function findBinary(): Promise<string | undefined> {
  for (const name of binaries) {
    const found = await new Deno.Command("which", { args: [name], stdout: "piped", stderr: "null" }).output()
      .catch(() => undefined);
    if (found?.success) return new TextDecoder().decode(found.stdout).trim();
  }
}

async function installPackage(onMessage: (line: string) => void): Promise<boolean> {
  if (Deno.uid() !== 0) return false;
  const run = (args: string[]) =>
    new Deno.Command("apt-get", {
      args,
      stdout: "null",
      stderr: "null",
      // Without RUNLEVEL the package would start its own server on the standard port.
      env: { DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" },
    }).output().then(({ success }) => success, () => false);
  onMessage("no Redis is installed: installing the package redis-server with apt-get");
  return await run(["install", "-y", "redis-server"]) ||
    (await run(["update"]) && await run(["install", "-y", "redis-server"]));
}

async function downloadServer(port: number): Promise<(LocalRedis & { pid: number }) | undefined> {
  const { RedisMemoryServer } = await import("redis-memory-server");
  const server = new RedisMemoryServer({ instance: { port, ip: "127.0.0.1" }, autoStart: false });
  if (!await server.start().catch(() => false)) return undefined;
  const stop = () => server.stop().then(() => {});
  const info = server.getInstanceInfo();
  return {
    url: `redis://127.0.0.1:${port}/0`,
    origin: "redis-memory-server",
    pid: info ? info.childProcess?.pid ?? 0 : 0,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function answersPing(port: number): Promise<boolean> {
  try {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(new TextEncoder().encode("PING\r\n"));
    const answer = new Uint8Array(16);
    await connection.read(answer);
    return new TextDecoder().decode(answer).startsWith("+PONG");
  } catch {
    return false;
  }
}

async function spawnServer(binary: string, port: number, folder: string): Promise<Deno.ChildProcess> {
  const child = new Deno.Command(binary, {
    args: [
      ...["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
      ...["--dir", folder],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  for (let tries = 0; tries < 250; tries++) {
    if (await answersPing(port)) return child;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  child.kill("SIGKILL");
  throw new AppError("redis_unreachable", `starting '${binary}': no answer within 5 s`);
}

/** Returns the path of a Redis program, which is installed if necessary and if this process runs as root. */
export async function findRedisBinary(
  onMessage: (line: string) => void = () => {},
): Promise<string | undefined> {
  return await findBinary() ?? (await installPackage(onMessage) ? await findBinary() : undefined);
}

/**
 * Starts a Redis without persistence.
 *
 * @param port port to listen on; a free one by default
 * @throws AppError redis_unreachable with an installation command, if no Redis is available
 */
export async function startRedis(
  { port = findFreePort(), onMessage }: { port?: number; onMessage?: (line: string) => void } = {},
): Promise<LocalRedis & { pid: number }> {
  const binary = await findRedisBinary(onMessage);
  if (!binary) {
    const downloaded = await downloadServer(port);
    if (downloaded) return downloaded;
    throw new AppError(
      "redis_unreachable",
      "looking for Redis: it is not on PATH and could not be installed; run 'apt-get install redis-server' " +
        "or set REDIS_URL",
    );
  }
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-redis-" });
  const child = await spawnServer(binary, port, folder);
  const stop = async () => {
    try {
      child.kill("SIGTERM");
    } catch {
      // It has already ended.
    }
    await child.status;
  };
  return {
    url: `redis://127.0.0.1:${port}/0`,
    origin: binary,
    pid: child.pid,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
