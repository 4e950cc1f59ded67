/** Runs the API in this process: opens the dependencies, serves the app, and drains when it is asked to stop. */
import { openApiDeps } from "./deps.ts";
import type { Replica } from "./db/pg/replica.ts";
import { print, whenAborted } from "./process.ts";
import { createApp } from "./routes/app.ts";
import { openFront } from "./routes/front/open.ts";
import { createOps, listenOn, serveOps } from "./ops.ts";
import { wait } from "./wait.ts";

/** Maximum wait for answers under way. It bounds the wait for clients that do not read. */
const shutdownMsMax = 3_500;

/**
 * Returns the time before the end of DRAIN_MS at which a proxy is told to repeat requests at another process, in
 * milliseconds. nginx then sends this process no requests for at least one second (deploy/nginx/site/upstreams.conf).
 */
const leavingMsOf = (drainMs: number): number => Math.min(1_000, drainMs / 3);

/** What a process needs that shares its port with others. */
export interface Shared {
  /** The shared port; 0 selects a free one, which the others then share. */
  port: number;
}

/**
 * Serves the API until `signal` is aborted. Then `/ready` is 503, and the API goes on accepting for DRAIN_MS; in the last
 * second of it, a proxy that can repeat requests elsewhere is told to. It stops listening, ends event streams so that
 * clients reconnect elsewhere, and waits for the answers under way. An answer that is not finished by then is cut off,
 * which every client notices.
 *
 * @param shared shares the port with other processes, and serves the operators' routes on a free port for their parent
 * @throws AppError as openDeps, busy
 */
export async function runApi(signal: AbortSignal, shared?: Shared): Promise<void> {
  await using deps = await openApiDeps();
  const { config, log, metrics, checks, checkRedis, replica } = deps;
  await using opened = await openFront(deps);
  const leaving = new AbortController();
  const closing = new AbortController();
  const signals = { draining: signal, leaving: leaving.signal, closing: closing.signal };
  const app = createApp({ ...deps, ...signals, front: opened?.front });
  const address = { hostname: config.HOST, port: shared?.port ?? config.PORT };
  const server = listenOn({ ...address, reusePort: shared !== undefined }, "PORT", app.fetch);
  const optionalChecks = {
    redis: checkRedis,
    ...(replica ? { replica: () => requireUsed(replica) } : {}),
  };
  const ops = { metrics, checks, optionalChecks, draining: signal };
  const admin = shared
    ? listenOn({ hostname: "127.0.0.1", port: 0 }, "ADMIN_PORT", createOps(ops).fetch)
    : serveOps(config, ops);
  print(JSON.stringify({
    listening: urlOf(server),
    ...(shared && admin ? { admin: urlOf(admin) } : {}),
  }));
  await whenAborted(signal);
  log.info("draining", { accepting_ms: config.DRAIN_MS });
  const leavingMs = leavingMsOf(config.DRAIN_MS);
  await wait(config.DRAIN_MS - leavingMs);
  leaving.abort();
  await wait(leavingMs);
  closing.abort();
  await Promise.race([server.shutdown(), wait(shutdownMsMax)]);
  await admin?.shutdown();
}

const urlOf = ({ addr: { hostname, port } }: Deno.HttpServer<Deno.NetAddr>): string =>
  `http://${hostname}:${port}`;

/** Rejects with the reason why the replica is left out. */
function requireUsed({ reason }: Replica): Promise<void> {
  return reason === undefined ? Promise.resolve() : Promise.reject(new Error(reason));
}
