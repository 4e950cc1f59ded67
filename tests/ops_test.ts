import assert from "node:assert/strict";
import { ping } from "../db/pg/connect.ts";
import { createMetrics } from "../metrics.ts";
import { createOps } from "../ops.ts";
import { createDatabase } from "./support/database.ts";

const readMetrics = async (app: ReturnType<typeof createOps>) => await (await app.request("/metrics")).text();

Deno.test("/ready is 200 until the process drains, and 503 afterwards", async () => {
  await using database = await createDatabase();
  const drain = new AbortController();
  const checks = { database: () => ping(database.sql) };
  const app = createOps({ metrics: createMetrics(), checks, draining: drain.signal });
  const ready = await app.request("/ready");
  assert.equal(ready.status, 200);
  assert.deepEqual(await ready.json(), { status: "ready", database: "ok" });
  drain.abort();
  assert.equal((await app.request("/ready")).status, 503);
});

Deno.test("without the database /ready is 503 and /live is 200", async () => {
  const checks = { database: () => Promise.reject(new Error("it does not answer")) };
  const app = createOps({ metrics: createMetrics(), checks, draining: new AbortController().signal });
  assert.equal((await app.request("/ready")).status, 503);
  assert.equal((await app.request("/live")).status, 200);
});

Deno.test("/metrics is in the Prometheus text format", async () => {
  const metrics = createMetrics();
  metrics.attempts.inc({ queue: "standard", outcome: "completed" });
  const app = createOps({ metrics, checks: {}, draining: new AbortController().signal });
  assert.match(
    await readMetrics(app),
    /contactsheet_attempts_total\{queue="standard",outcome="completed"\} 1/,
  );
});

Deno.test("a failed optional check is reported as degraded, and /ready is 200", async () => {
  const optionalChecks = { redis: () => Promise.reject(new Error("it does not answer")) };
  const draining = new AbortController().signal;
  const app = createOps({ metrics: createMetrics(), checks: {}, optionalChecks, draining });
  const response = await app.request("/ready");
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { status: "ready", redis: "degraded: it does not answer" });
});
