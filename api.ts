/** Runs the API in this process: opens the dependencies, serves the app, and drains when it is asked to stop. */
import { openApiDeps } from "./deps.ts";
import { print, whenAborted } from "./process.ts";
import { createApp } from "./routes/app.ts";
import { openFront } from "./routes/front/open.ts";
import { listenOn, serveOps } from "./ops.ts";

/** Maximum wait for answers under way. It bounds the wait for clients that do not read. */
const shutdownMsMax = 3_500;

/**
 * Serves the API until `signal` is aborted. Then `/ready` is 503, and the API goes on accepting for DRAIN_MS. It stops
 * listening, ends event streams so that clients reconnect elsewhere, and waits for the answers under way. An answer
 * that is not finished by then is cut off, which every client notices.
 *
 * @throws AppError as openDeps, busy
 */
export async function runApi(signal: AbortSignal): Promise<void> {
  await using deps = await openApiDeps();
  const { config, log, metrics, checks, checkRedis } = deps;
  await using opened = await openFront(deps);
  const closing = new AbortController();
  const app = createApp({ ...deps, draining: signal, closing: closing.signal, front: opened?.front });
  const server = listenOn({ hostname: config.HOST, port: config.PORT }, "PORT", app.fetch);
  const admin = serveOps(config, {
    metrics,
    checks,
    optionalChecks: { redis: checkRedis },
    draining: signal,
  });
  print(JSON.stringify({ listening: `http://${server.addr.hostname}:${server.addr.port}` }));
  await whenAborted(signal);
  log.info("draining", { accepting_ms: config.DRAIN_MS });
  await wait(config.DRAIN_MS);
  closing.abort();
  await Promise.race([server.shutdown(), wait(shutdownMsMax)]);
  await admin?.shutdown();
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
