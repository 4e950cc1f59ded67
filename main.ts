/** The API process: settings → dependencies → app → serve → drain on SIGTERM. */
import { ping } from "./db/pg/connect.ts";
import { openApiDeps } from "./deps.ts";
import { AppError } from "./errors.ts";
import { print, runMain, whenAborted } from "./process.ts";
import { createApp } from "./routes/app.ts";
import { createOps } from "./ops.ts";

function listen(
  hostname: string,
  port: number,
  setting: string,
  handler: Deno.ServeHandler,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve({ hostname, port, onListen() {} }, handler);
  } catch (cause) {
    const why = (cause as Error).message;
    throw new AppError("busy", `listening on ${hostname}:${port}: ${why}; free it or set ${setting}`, {
      cause,
    });
  }
}

/** A client that does not read its answer is not waited for. */
const shutdownMsMax = 4_000;

async function main(signal: AbortSignal): Promise<void> {
  await using deps = await openApiDeps();
  const { config, log, metrics, sql, redis } = deps;
  const server = listen(config.HOST, config.PORT, "PORT", createApp({ ...deps, draining: signal }).fetch);
  const ops = createOps({
    metrics,
    checks: { database: () => ping(sql) },
    spareChecks: { redis: () => redis.check() },
    draining: signal,
  });
  const admin = config.ADMIN_PORT === 0
    ? undefined
    : listen("127.0.0.1", config.ADMIN_PORT, "ADMIN_PORT", ops.fetch);
  print(JSON.stringify({ listening: `http://${server.addr.hostname}:${server.addr.port}` }));
  await whenAborted(signal);
  log.info("draining");
  const late = new Promise((resolve) => setTimeout(resolve, shutdownMsMax));
  await Promise.race([server.shutdown(), late]);
  await admin?.shutdown();
}

if (import.meta.main) await runMain(main);
