/** The routes `/live`, `/ready` and `/metrics`, served on a private port. */
import { Hono } from "hono";
import type { Metrics } from "./metrics.ts";

export interface OpsDeps {
  metrics: Pick<Metrics, "registry">;
  /** Checks that must succeed before the process is ready, by name. */
  checks: Record<string, () => Promise<unknown>>;
  /** Checks whose failure is reported as degraded and leaves the process ready. */
  optionalChecks?: Record<string, () => Promise<unknown>>;
  /** Aborted when the process drains. `/ready` answers 503 from then on. */
  draining: AbortSignal;
}

const checkMsMax = 2000;

async function runCheck(check: () => Promise<unknown>): Promise<string> {
  const timeout = Promise.withResolvers<string>();
  const timer = setTimeout(() => timeout.resolve(`no answer within ${checkMsMax} ms`), checkMsMax);
  const outcome = await Promise.race([
    check().then(() => "ok", (error) => error instanceof Error ? error.message : String(error)),
    timeout.promise,
  ]);
  clearTimeout(timer);
  return outcome;
}

async function runChecks(checks: OpsDeps["checks"]): Promise<Record<string, string>> {
  const entries = Object.entries(checks).map(async ([name, check]) => [name, await runCheck(check)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

/**
 * Creates the app. `/live` always answers 200, `/ready` runs the checks, `/metrics` answers in Prometheus'
 * format.
 */
export function createOps({ metrics, checks, optionalChecks = {}, draining }: OpsDeps): Hono {
  const app = new Hono();
  app.get("/live", (c) => c.json({ status: "live" }));
  app.get("/ready", async (c) => {
    const [outcomes, optional] = await Promise.all([runChecks(checks), runChecks(optionalChecks)]);
    const ready = !draining.aborted && Object.values(outcomes).every((outcome) => outcome === "ok");
    for (const [name, outcome] of Object.entries(optional)) {
      outcomes[name] = outcome === "ok" ? outcome : `degraded: ${outcome}`;
    }
    return c.json(
      { status: draining.aborted ? "draining" : ready ? "ready" : "not ready", ...outcomes },
      ready ? 200 : 503,
    );
  });
  app.get("/metrics", async (c) => {
    c.header("content-type", metrics.registry.contentType);
    return c.body(await metrics.registry.metrics());
  });
  return app;
}
