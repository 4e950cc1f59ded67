/** Explores the switch completely: its rules hold, and without any one of its guards a rule is broken. */
import assert from "node:assert/strict";
import { check, type Report } from "./checker.ts";
import {
  allGuards,
  type SwitchGuards,
  switchModel,
  switchRules,
  type SwitchSetting,
  type SwitchState,
} from "./switch_model.ts";

const setting: SwitchSetting = {
  direction: "cutover",
  guards: allGuards,
  processes: 2,
  writes: 2,
  faults: 2,
};
const directions: SwitchSetting["direction"][] = ["cutover", "rollback"];

const describe = ({ violation }: Report<SwitchState>): string =>
  violation ? [violation.rule, ...violation.trace].join("\n  ") : "all rules hold";

Deno.test("the rules of the switch hold in every reachable state", async () => {
  const performed = new Set<string>();
  const actions = new Set<string>();
  const counts: number[] = [];
  const settings = [setting, { ...setting, faults: 3, writes: 1 }, {
    ...setting,
    processes: 3,
    writes: 1,
    faults: 1,
  }];
  for (const one of directions.flatMap((direction) => settings.map((one) => ({ ...one, direction })))) {
    const model = switchModel(one);
    const report = check(model);
    assert.equal(describe(report), "all rules hold");
    counts.push(report.states);
    for (const { name } of model.actions) actions.add(name);
    for (const name of report.performed) performed.add(name);
  }
  assert.deepEqual([...actions.difference(performed)], [], "actions that were never performed");
  const total = counts.reduce((sum, count) => sum + count, 0);
  const page = await Deno.readTextFile(new URL("../../docs/switch-model.md", import.meta.url));
  assert.ok(
    page.includes(`${total.toLocaleString("en")} states`),
    `docs/switch-model.md must name ${total} states`,
  );
});

/** Guards to remove, the rule that is broken without them, and a part of an action's name in its trace. */
const broken: [
  removed: (keyof SwitchGuards)[],
  rule: keyof typeof switchRules,
  by: string,
  direction?: SwitchSetting["direction"],
][] = [
  [["acknowledged"], "refused", "freezes"],
  [["acknowledged", "freeze"], "lost", "switches"],
  [["inFlight"], "refused", "freezes"],
  [["inFlight", "freeze"], "lost", "switches"],
  [["goneLater", "freeze"], "lost", "is cut off"],
  [["confirmed", "freeze"], "lost", "is cut off"],
  [["freeze"], "lost", "is cut off"],
  [["position"], "lost", "switches"],
  [["holdChecked", "freeze"], "lost", "switches"],
  [["undone"], "stuck", "is killed"],
  [["freeze"], "charge", "is cut off", "rollback"],
  [["position"], "lost", "switches", "rollback"],
  [["position", "freeze"], "lost", "switches", "rollback"],
];

for (const [removed, rule, by, direction = "cutover"] of broken) {
  Deno.test(`${direction} without ${removed.join(" and ")}: this rule of the switch is broken: ${switchRules[rule]}`, () => {
    const guards = { ...allGuards, ...Object.fromEntries(removed.map((guard) => [guard, false])) };
    const report = check(switchModel({ ...setting, direction, guards }));
    assert.equal(report.violation?.rule, switchRules[rule], describe(report));
    assert.ok(report.violation.trace.some((name) => name.includes(by)), describe(report));
  });
}
