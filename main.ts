/** The API process: reads the settings, opens the dependencies, serves the app, and drains on SIGTERM. */
import { ping } from "./db/pg/connect.ts";
import { openApiDeps } from "./deps.ts";
import { AppError } from "./errors.ts";
import { print, runMain, whenAborted } from "./process.ts";
import { createApp } from "./routes/app.ts";
import { openFront } from "./routes/front/open.ts";
import { createOps } from "./ops.ts";
import { quoted } from "./phrases.ts";

function listen(
  hostname: string,
  port: number,
  setting: string,
  handler: Deno.ServeHandler,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve({ hostname, port, onListen() {} }, handler);
  } catch (cause) {
    const reason = (cause as Error).message;
    const text = `listening on ${hostname}:${port}: ${reason}; free the port or set ${setting}`;
    throw new AppError("busy", text, { cause });
  }
}

const usage = `Usage: deno task start

Runs the API on PORT until it receives SIGTERM. It takes no arguments: docs/settings.md lists its settings.`;

/**
 * Prints the usage where it is requested.
 *
 * @returns whether the API should run
 * @throws AppError usage
 */
function checkArguments([first]: string[]): boolean {
  if (first === "--help" || first === "-h") {
    print(usage);
    return false;
  }
  if (first === undefined) return true;
  throw new AppError(
    "usage",
    `reading the arguments: ${quoted(first)} is unknown; see 'deno task start --help'`,
  );
}

/** Maximum wait for answers under way. It bounds the wait for clients that do not read. */
const shutdownMsMax = 4_000;

async function main(signal: AbortSignal): Promise<void> {
  if (!checkArguments(Deno.args)) return;
  await using deps = await openApiDeps();
  const { config, log, metrics, sql, checkRedis } = deps;
  await using opened = await openFront(deps);
  const app = createApp({ ...deps, draining: signal, front: opened?.front });
  const server = listen(config.HOST, config.PORT, "PORT", app.fetch);
  const ops = createOps({
    metrics,
    checks: { database: () => ping(sql) },
    optionalChecks: { redis: checkRedis },
    draining: signal,
  });
  const admin = config.ADMIN_PORT === 0
    ? undefined
    : listen("127.0.0.1", config.ADMIN_PORT, "ADMIN_PORT", ops.fetch);
  print(JSON.stringify({ listening: `http://${server.addr.hostname}:${server.addr.port}` }));
  await whenAborted(signal);
  log.info("draining");
  const timeout = new Promise((resolve) => setTimeout(resolve, shutdownMsMax));
  await Promise.race([server.shutdown(), timeout]);
  await admin?.shutdown();
}

if (import.meta.main) await runMain(main);
