/** The queue's protocol, explored to the last state: it holds, and without any of its guards it does not. */
import assert from "node:assert/strict";
import { check, type Model, type Report } from "./checker.ts";
import { queueModel } from "./protocol.ts";
import { allFaults, type Fault, type Guards, guards, type Setting } from "./setting.ts";
import type { State } from "./state.ts";

const oneCell: Setting = { guards, cells: 1, attemptsMax: 2, retries: 1, faults: allFaults, faultsMax: 2 };
const oneAttempt: Setting = { guards, cells: 2, attemptsMax: 1, retries: 0, faults: allFaults, faultsMax: 2 };

const describe = ({ violation }: Report<State>): string =>
  violation ? [violation.rule, ...violation.trace].join("\n  ") : "everything holds";

Deno.test("check() finds the shortest way to what must not be, and to where nothing good can follow", () => {
  // Up by one or two, from 0 to 6; from 6 on nothing happens.
  const climb = (forbidden: number, good: number): Model<number> => ({
    start: 0,
    key: String,
    actions: [1, 2].map((by) => ({
      name: `+${by}`,
      kind: "step",
      next: (at) => at + by <= 6 ? [at + by] : [],
    })),
    states: [{ name: "not forbidden", holds: (at) => at !== forbidden }],
    moves: [{ name: "upwards", holds: (from, to) => to > from }],
    good: { name: "arrives", holds: (at) => at === good },
  });
  assert.deepEqual(check(climb(5, 6)).violation, {
    rule: "not forbidden",
    trace: ["+1", "+2", "+2"],
    state: 5,
  });
  assert.deepEqual(check(climb(9, 5)).violation, { rule: "arrives", trace: ["+2", "+2", "+2"], state: 6 });
  assert.equal(check(climb(9, 6)).violation, undefined);
  assert.equal(check(climb(9, 6)).states, 7);
  assert.throws(() => check(climb(9, 6), { statesMax: 5 }), RangeError);
});

const whole: [string, Setting][] = [
  ["one subtask of two attempts, retried by its user, any two faults", oneCell],
  ["one subtask of two attempts, any three faults", { ...oneCell, retries: 0, faultsMax: 3 }],
  ["two subtasks of one attempt, any two faults", oneAttempt],
  ["two subtasks of one attempt, retried by their user, any fault", {
    ...oneAttempt,
    retries: 1,
    faultsMax: 1,
  }],
  ["two subtasks of two attempts, any fault", { ...oneAttempt, attemptsMax: 2, faultsMax: 1 }],
];

/** An action without the numbers of its worker and subtask. */
const nameOf = (action: string): string => action.replace(/ \d/g, "");

Deno.test("the queue holds in every state that can be reached", async (t) => {
  const idle = new Set<string>();
  const happened = new Set<string>();
  for (const [what, setting] of whole) {
    await t.step(what, () => {
      const model = queueModel(setting);
      const report = check(model);
      assert.equal(describe(report), "everything holds");
      assert.ok(report.states > 50_000, `only ${report.states} states`);
      for (const { name } of model.actions) idle.add(nameOf(name));
      for (const name of report.happened) happened.add(nameOf(name));
    });
  }
  assert.deepEqual([...idle.difference(happened)], [], "actions that never happened");
});

const rules = {
  counters: "the counters are those of the rows",
  paid: "a POST is made again only after a failure, or where its id could not be saved",
  attempt: "an attempt is POSTed once",
  lost: "every lost POST is counted",
  told: "a task is told of once for each kind",
  ended: "the task has ended when its subtasks have",
  final: "what has ended stays as it ended",
  cancelled: "nothing starts after its task was cancelled",
  stale: "a write under a lost lease changes nothing",
  living: "nobody takes the lease of a worker that lives",
  stuck: "everything can still end",
};

const without = (...removed: (keyof Guards)[]): Guards => ({
  ...guards,
  ...Object.fromEntries(removed.map((guard) => [guard, false])),
});

interface Broken {
  without: (keyof Guards)[];
  /** What fails, and a part of the trace that leads there. */
  rule: keyof typeof rules;
  by: string;
  setting?: Setting;
  faults?: Fault[];
}

const broken: Broken[] = [
  { without: ["leaseInSettle"], rule: "final", by: "user: cancels" },
  { without: ["leaseInRetry"], rule: "stale", by: "writes the error" },
  { without: ["leaseInSave"], rule: "stale", by: "saves the remote id" },
  { without: ["leaseInBegin"], rule: "stale", by: "begins again" },
  { without: ["leaseEndsWithState"], rule: "final", by: "user: cancels" },
  { without: ["stateInClaim"], rule: "living", by: "claims" },
  { without: ["openInClaim"], rule: "cancelled", by: "user: cancels", setting: oneAttempt },
  { without: ["deadCannotClaim"], rule: "paid", by: "is declared dead while it rests" },
  { without: ["countersInStatement"], rule: "counters", by: "settles" },
  { without: ["outboxUnique"], rule: "told", by: "user: retries what failed" },
  { without: ["refeed"], rule: "stuck", by: "is declared dead while it rests" },
  { without: ["refeed", "epoch"], rule: "stuck", by: "FLUSHALL", faults: ["wipe"] },
  { without: ["refeed", "ackAfterClaim"], rule: "stuck", by: "dies", faults: ["crash"] },
  { without: ["refeed", "takeOver"], rule: "stuck", by: "dies", faults: ["crash"] },
  { without: ["deadStaysDead"], rule: "stale", by: "beats again" },
  { without: ["remoteSaved"], rule: "paid", by: "is told to stop" },
  { without: ["remoteAdopted"], rule: "paid", by: "is told to stop" },
  { without: ["remoteSaved"], rule: "paid", by: "dies", faults: ["crash"] },
  { without: ["remoteAdopted"], rule: "paid", by: "dies", faults: ["crash"] },
  { without: ["cancelLocksTask"], rule: "ended", by: "user: cancels" },
  { without: ["orphanLookedAtAgain"], rule: "living", by: "second leader: releases" },
  { without: ["strangersTwice"], rule: "paid", by: "gives back" },
  { without: ["unsentIsUnsent"], rule: "attempt", by: "is told to stop" },
  { without: ["giveBackCounts"], rule: "lost", by: "is told to stop" },
];
for (const { without: removed, rule, by, setting = oneCell, faults = allFaults } of broken) {
  const under = faults === allFaults ? "" : ` (faults: ${faults.join(", ")})`;
  Deno.test(`without ${removed.join(" and ")} it fails: ${rules[rule]}${under}`, () => {
    const report = check(queueModel({ ...setting, guards: without(...removed), faults }));
    assert.equal(report.violation?.rule, rules[rule], describe(report));
    assert.ok(report.violation.trace.some((name) => name.includes(by)), describe(report));
  });
}

Deno.test("without the lease in it, a result is written over the attempt of another worker", () => {
  const report = check(
    queueModel({ ...oneCell, guards: { ...without("leaseInSettle"), stateInWrites: true } }),
  );
  assert.equal(report.violation?.rule, rules.stale, describe(report));
  assert.match(report.violation.trace.at(-1)!, /settles/);
});

Deno.test("without the lock between them, a claim starts work after the commit of a cancellation", () => {
  const model: Model<State> = queueModel({ ...oneAttempt, guards: without("cancelLocksTask") });
  const report = check({ ...model, states: [] });
  assert.equal(report.violation?.rule, rules.cancelled, describe(report));
  assert.match(report.violation.trace.at(-1)!, /commits its claim/);
});

const doubled: [string, Guards, Fault[]][] = [
  ["a state in every write, where leases outlive their state", {
    ...without("leaseEndsWithState"),
    stateInWrites: true,
  }, allFaults],
  ["feeding again what stays pending, where the wipe is not noticed", without("epoch"), allFaults],
  [
    "feeding again what stays pending, where reads are acknowledged at once",
    without("ackAfterClaim"),
    allFaults,
  ],
  ["feeding again what stays pending, where nobody takes over reads", without("takeOver"), allFaults],
  ["noticing the wipe, where nothing is fed again", without("refeed"), ["wipe"]],
  ["taking over reads, where nothing is fed again", without("refeed"), ["crash"]],
];
for (const [what, kept, faults] of doubled) {
  Deno.test(`one of two guards is enough: ${what}`, () => {
    const report = check(queueModel({ ...oneCell, guards: kept, faults, retries: 0 }));
    assert.equal(describe(report), "everything holds");
  });
}
