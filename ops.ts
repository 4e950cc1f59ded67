/** Live, ready and metrics, on a port of their own that stays private. */
import { Hono } from "hono";
import type { Metrics } from "./metrics.ts";

export interface OpsDeps {
  metrics: Metrics;
  /** What must answer before requests may come, by name; each rejects or settles. */
  checks: Record<string, () => Promise<unknown>>;
  /** What requests can do without for a while: shown as degraded, ready all the same. */
  spareChecks?: Record<string, () => Promise<unknown>>;
  /** Aborted once the process drains: ready answers 503 from then on. */
  draining: AbortSignal;
}

const checkMsMax = 2000;

async function runCheck(check: () => Promise<unknown>): Promise<string> {
  const late = Promise.withResolvers<string>();
  const timer = setTimeout(() => late.resolve(`no answer within ${checkMsMax} ms`), checkMsMax);
  const outcome = await Promise.race([
    check().then(() => "ok", (error) => error instanceof Error ? error.message : String(error)),
    late.promise,
  ]);
  clearTimeout(timer);
  return outcome;
}

async function runChecks(checks: OpsDeps["checks"]): Promise<Record<string, string>> {
  const entries = Object.entries(checks).map(async ([name, check]) => [name, await runCheck(check)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

/** `/live`: the loop turns. `/ready`: every check answers. `/metrics`: Prometheus' text form. */
export function createOps({ metrics, checks, spareChecks = {}, draining }: OpsDeps): Hono {
  const app = new Hono();
  app.get("/live", (c) => c.json({ status: "live" }));
  app.get("/ready", async (c) => {
    const [outcome, spare] = await Promise.all([runChecks(checks), runChecks(spareChecks)]);
    const ready = !draining.aborted && Object.values(outcome).every((said) => said === "ok");
    for (const [name, said] of Object.entries(spare)) {
      outcome[name] = said === "ok" ? said : `degraded: ${said}`;
    }
    return c.json(
      { status: draining.aborted ? "draining" : ready ? "ready" : "not ready", ...outcome },
      ready ? 200 : 503,
    );
  });
  app.get("/metrics", async (c) => {
    c.header("content-type", metrics.registry.contentType);
    return c.body(await metrics.registry.metrics());
  });
  return app;
}
