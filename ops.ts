/** The routes `/live`, `/ready` and `/metrics`, served on a private port. */
import { Hono } from "hono";
import { AppError } from "./errors.ts";

/**
 * A check of readiness. It resolves with undefined, or with the reason why the process works, but not as it should. It
 * rejects while the process cannot work.
 */
export type Check = () => Promise<string | void>;

/** What `/metrics` shows. */
export interface MetricSource {
  contentType: string;
  metrics(): Promise<string>;
  getMetricsAsJSON(): Promise<unknown>;
}

export interface OpsDeps {
  metrics: { registry: MetricSource };
  /** Checks that must succeed before the process is ready, by name. */
  checks: Record<string, Check>;
  /** Checks whose failure is reported as degraded and leaves the process ready. */
  optionalChecks?: Record<string, () => Promise<unknown>>;
  /** Aborted when the process drains. `/ready` answers 503 from then on. */
  draining: AbortSignal;
}

const checkMsMax = 2000;
/** Wait for an optional check. After it, its latest outcome is shown, so that a probe is not kept waiting. */
const optionalMsMax = 300;
const degraded = (reason: string) => `degraded: ${reason}`;
const reasonOf = (error: unknown) => error instanceof Error ? error.message : String(error);

interface Outcome {
  text: string;
  isReady: boolean;
}

/** Waits at most `ms`. @returns undefined after `ms` */
async function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  const timeout = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => timeout.resolve(undefined), ms);
  const outcome = await Promise.race([work, timeout.promise]);
  clearTimeout(timer);
  return outcome;
}

async function runCheck(check: Check): Promise<Outcome> {
  const outcome = check().then(
    (reason) => ({ text: typeof reason === "string" ? degraded(reason) : "ok", isReady: true }),
    (error) => ({ text: reasonOf(error), isReady: false }),
  );
  return await within(checkMsMax, outcome) ??
    { text: `no answer within ${checkMsMax} ms`, isReady: false };
}

/** Returns a function that runs an optional check, one at a time. */
function createOptionalCheck(check: () => Promise<unknown>): () => Promise<Outcome> {
  let latest = degraded("no answer yet");
  let running: Promise<string> | undefined;
  return async () => {
    running ??= check()
      .then(() => "ok", (error) => degraded(reasonOf(error)))
      .then((text) => {
        running = undefined;
        return latest = text;
      });
    return { text: await within(optionalMsMax, running) ?? latest, isReady: true };
  };
}

/**
 * Creates the app. `/live` always answers 200: its answer shows that the event loop turns. `/ready` runs the checks,
 * `/metrics` answers in Prometheus' format, or in JSON.
 */
export function createOps({ metrics, checks, optionalChecks = {}, draining }: OpsDeps): Hono {
  const app = new Hono();
  const runs = new Map<string, () => Promise<Outcome>>();
  for (const [name, check] of Object.entries(checks)) runs.set(name, () => runCheck(check));
  for (const [name, check] of Object.entries(optionalChecks)) runs.set(name, createOptionalCheck(check));
  app.get("/live", (c) => c.json({ status: "live" }));
  app.get("/ready", async (c) => {
    if (draining.aborted) return c.json({ status: "draining" }, 503);
    const outcomes = await Promise.all([...runs].map(async ([name, run]) => [name, await run()] as const));
    const isReady = outcomes.every(([, outcome]) => outcome.isReady);
    const texts = Object.fromEntries(outcomes.map(([name, { text }]) => [name, text]));
    return c.json({ status: isReady ? "ready" : "not ready", ...texts }, isReady ? 200 : 503);
  });
  app.get("/metrics", async (c) => {
    // The parent of several processes adds up their numbers.
    if (c.req.header("accept") === "application/json") {
      return c.json(await metrics.registry.getMetricsAsJSON() as object);
    }
    c.header("content-type", metrics.registry.contentType);
    return c.body(await metrics.registry.metrics());
  });
  return app;
}

/** An address to listen on. */
export interface Address {
  hostname: string;
  port: number;
  /** Whether other processes may listen on the same port. The kernel divides the connections among them. */
  reusePort?: boolean;
}

/**
 * Listens on an address.
 *
 * @param setting the setting that the failure names
 * @throws AppError busy
 */
export function listenOn(
  { hostname, port, reusePort = false }: Address,
  setting: string,
  handler: Deno.ServeHandler,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve({ hostname, port, reusePort, onListen() {} }, handler);
  } catch (cause) {
    const text = `listening on ${hostname}:${port}: ${reasonOf(cause)}; free the port or set ${setting}`;
    throw new AppError("busy", text, { cause });
  }
}

/**
 * Serves the operators' routes on ADMIN_HOST and ADMIN_PORT.
 *
 * @returns undefined if ADMIN_PORT is 0
 * @throws AppError busy
 */
export function serveOps(
  { ADMIN_HOST: hostname, ADMIN_PORT: port }: { ADMIN_HOST: string; ADMIN_PORT: number },
  deps: OpsDeps,
): Deno.HttpServer<Deno.NetAddr> | undefined {
  return port === 0 ? undefined : listenOn({ hostname, port }, "ADMIN_PORT", createOps(deps).fetch);
}
