import assert from "node:assert/strict";
import { createMetrics } from "../metrics.ts";
import { createOps } from "../ops.ts";
import { createDatabase } from "./support/database.ts";

const readMetrics = async (app: ReturnType<typeof createOps>) => await (await app.request("/metrics")).text();

Deno.test("ready answers 503 while a server is away or the process drains; live does not mind", async () => {
  const database = await createDatabase();
  const drain = new AbortController();
  const checks = { database: () => database.sql`select 1` };
  const app = createOps({ metrics: createMetrics(), checks, draining: drain.signal });
  const ready = await app.request("/ready");
  assert.equal(ready.status, 200);
  assert.deepEqual(await ready.json(), { status: "ready", database: "ok" });
  drain.abort();
  assert.equal((await app.request("/ready")).status, 503);
  await database[Symbol.asyncDispose]();
  const away = createOps({ metrics: createMetrics(), checks, draining: new AbortController().signal });
  assert.equal((await away.request("/ready")).status, 503);
  assert.equal((await away.request("/live")).status, 200);
});

Deno.test("metrics are in Prometheus' text form", async () => {
  const metrics = createMetrics();
  metrics.attempts.inc({ queue: "standard", outcome: "completed" });
  const app = createOps({ metrics, checks: {}, draining: new AbortController().signal });
  assert.match(
    await readMetrics(app),
    /contactsheet_attempts_total\{queue="standard",outcome="completed"\} 1/,
  );
});

Deno.test("what requests can do without is degraded, and the process ready all the same", async () => {
  const spareChecks = { redis: () => Promise.reject(new Error("it does not answer")) };
  const draining = new AbortController().signal;
  const app = createOps({ metrics: createMetrics(), checks: {}, spareChecks, draining });
  const response = await app.request("/ready");
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { status: "ready", redis: "degraded: it does not answer" });
});
