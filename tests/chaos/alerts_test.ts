/** The fire drill: real faults, and a real Prometheus that notices them. */
import assert from "node:assert/strict";
import { conditions } from "../../dev/chaos/alerts/conditions.ts";
import { runDrill } from "../../dev/chaos/alerts/main.ts";
import { readAlerts } from "../../dev/chaos/alerts/prometheus.ts";
import { needs } from "../deploy/support/tools.ts";

Deno.test("the drill causes ten alerts or more, and each is an alert of deploy/prometheus", async () => {
  const known = await readAlerts();
  const alerts = Object.values(conditions).flatMap(({ alerts }) => alerts);
  assert.ok(new Set(alerts).size >= 10, alerts.join());
  for (const alert of alerts) assert.ok(known.has(alert), alert);
});

Deno.test({
  name: "the alerts notice a lost PostgreSQL, a lost Redis, a stopped queue, dead workers and a dead API",
  ...needs("prometheus"),
}, async () => {
  const names = Object.keys(conditions).filter((name) => name !== "sign_ins");
  const notices = await runDrill(names, () => {}, new AbortController().signal);
  const missed = notices.filter(({ wasSilent, afterMs }) => !wasSilent || afterMs === undefined);
  assert.deepEqual(missed, []);
});
