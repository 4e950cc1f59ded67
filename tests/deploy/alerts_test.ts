/** Alerts, their unit tests, their runbook and the dashboard agree with each other and with the metrics of the code. */
import assert from "node:assert/strict";
import type { Registry } from "prom-client";
import { parse } from "yaml";
import { createMetrics } from "../../metrics.ts";
import { createBackMetrics, createSyncMetrics } from "../../migrate/data/tools/follow_metrics.ts";
import { createParentMetrics } from "../../processes/metrics.ts";
import { listAnchors } from "../docs/support/pages.ts";
import { needs, runTool } from "./support/tools.ts";

const folder = new URL("../../deploy/prometheus/", import.meta.url);
const readYaml = (name: string) => parse(Deno.readTextFileSync(new URL(name, folder)));

interface Rule {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: { summary: string; runbook: string };
}
const rules: Rule[] = readYaml("alerts.yml").groups.flatMap(({ rules }: { rules: Rule[] }) => rules);

const creators: Record<string, () => { registry: Registry }> = {
  product: createMetrics,
  parent: createParentMetrics,
  sync: createSyncMetrics,
  back: createBackMetrics,
};
const exported = new Map(
  Object.entries(creators).map(([name, create]) =>
    [
      name,
      create().registry.getMetricsAsArray().map((metric) => (metric as unknown as { name: string }).name),
    ] as const
  ),
);
const allNames = new Set([...exported.values()].flat());

/** Returns the metrics that an expression names, without the suffixes of histograms. */
const namesOf = (expr: string): string[] =>
  [...expr.matchAll(/\bcontactsheet_\w+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, ""));

const dashboard = JSON.parse(Deno.readTextFileSync(new URL("../grafana/contactsheet.json", folder)));
interface Panel {
  title: string;
  type: string;
  targets?: { expr: string }[];
}
const panels: Panel[] = dashboard.panels;

Deno.test("every metric that an alert or a panel names is exported", () => {
  const wrong = [
    ...rules.flatMap(({ alert, expr }) => namesOf(expr).map((name) => [alert, name])),
    ...panels.flatMap(({ title, targets = [] }) =>
      targets.flatMap(({ expr }) => namesOf(expr).map((name) => [title, name]))
    ),
  ].filter(([, name]) => !allNames.has(name!));
  assert.deepEqual(wrong, []);
});

Deno.test("every exported metric is in a panel", () => {
  const shown = new Set(panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => namesOf(expr))));
  for (const [program, names] of exported) {
    assert.ok(names.length > 0);
    assert.deepEqual(names.filter((name) => !shown.has(name)), [], program);
  }
});

Deno.test("each alert links its section of docs/operating.md, and each section has its alert", () => {
  assert.ok(rules.length >= 30, `${rules.length} alerts`);
  const anchors = listAnchors("docs/operating.md");
  for (const { alert, annotations } of rules) {
    assert.equal(annotations.runbook, `docs/operating.md#${alert.toLowerCase()}`);
    assert.ok(anchors.includes(alert.toLowerCase()), `docs/operating.md has a section ${alert}`);
  }
  const page = Deno.readTextFileSync(new URL("../../docs/operating.md", folder));
  const sections = page.split("\n### ").slice(1);
  assert.deepEqual(sections.map((text) => text.split("\n")[0]), rules.map(({ alert }) => alert));
  for (const [index, section] of sections.entries()) {
    const { annotations, labels } = rules[index]!;
    assert.ok(section.includes(`${annotations.summary} (${labels.severity}`), annotations.summary);
    for (const part of ["**See.**", "**Means.**", "**Type.**"]) assert.ok(section.includes(part), section);
  }
});

Deno.test("each alert has a test in which it fires and one in which it is silent", () => {
  const { tests } = readYaml("alerts.test.yml");
  const outcomes = new Map<string, string[]>();
  for (const { alert_rule_test } of tests) {
    for (const { alertname, exp_alerts } of alert_rule_test) {
      outcomes.set(alertname, [...outcomes.get(alertname) ?? [], exp_alerts.length > 0 ? "fires" : "silent"]);
    }
  }
  for (const { alert } of rules) {
    assert.deepEqual(outcomes.get(alert)?.toSorted(), ["fires", "silent"], alert);
  }
});

Deno.test({
  name: "promtool accepts the configuration, the rules and their tests",
  ...needs("promtool", "prometheus"),
}, async () => {
  const path = (name: string) => new URL(name, folder).pathname;
  for (
    const args of [
      ["check", "config", path("prometheus.yml")],
      ["check", "rules", path("alerts.yml")],
      ["test", "rules", path("alerts.test.yml")],
    ]
  ) {
    const { code, out, err } = await runTool("promtool", args);
    assert.equal(code, 0, out + err);
  }
});
