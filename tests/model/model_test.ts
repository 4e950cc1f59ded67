/** Explores the queue's protocol completely: its rules hold, and without any one of its guards a rule is broken. */
import assert from "node:assert/strict";
import { check, type Model, type Report } from "./checker.ts";
import { queueModel } from "./protocol.ts";
import { allFaults, type Fault, type Guards, guards, type Setting } from "./setting.ts";
import type { State } from "./state.ts";

const oneCell: Setting = { guards, cells: 1, attemptsMax: 2, retries: 1, faults: allFaults, faultsMax: 2 };
const oneAttempt: Setting = { guards, cells: 2, attemptsMax: 1, retries: 0, faults: allFaults, faultsMax: 2 };

const page = await Deno.readTextFile(new URL("../../docs/queue-model.md", import.meta.url));

/** The rows of the page's table of explorations, as numbers. */
const listedExplorations = [...page.matchAll(/^\|( [\d,]+ \|){7}$/gm)].map(([row]) =>
  row.split("|").slice(1, -1).map((cell) => Number(cell.replaceAll(",", "")))
);

/** Lengths of the shortest paths in the page's table of guards, one for each removed guard. */
const listedLengths = page.split("## Guards\n")[1]!.split("\n").flatMap((line) => {
  const [, guards = "", , actions = ""] = /^\|(.+)\|(.+)\| ([\d; ]+) \|$/.exec(line) ?? [];
  const lengths = actions.split("; ").filter((text) => text !== "").map(Number);
  return lengths.length === 1 ? guards.split("; ").map(() => lengths[0]!) : lengths;
});

const describe = ({ violation }: Report<State>): string =>
  violation ? [violation.rule, ...violation.trace].join("\n  ") : "all rules hold";

Deno.test("check() finds a shortest path to a forbidden state and to a state from which the goal cannot be reached", () => {
  // The state increases by one or two, from 0 to 6.
  const climb = (forbidden: number, goal: number): Model<number> => ({
    start: 0,
    key: String,
    actions: [1, 2].map((by) => ({
      name: `+${by}`,
      kind: "step",
      next: (at) => at + by <= 6 ? [at + by] : [],
    })),
    states: [{ name: "not forbidden", holds: (at) => at !== forbidden }],
    moves: [{ name: "upwards", holds: (from, to) => to > from }],
    goal: { name: "arrives", holds: (at) => at === goal },
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

const explorations: [string, Setting][] = [
  ["one subtask of two attempts, retried by its user, with two faults", oneCell],
  ["one subtask of two attempts, with three faults", { ...oneCell, retries: 0, faultsMax: 3 }],
  ["two subtasks of one attempt, with two faults", oneAttempt],
  ["two subtasks of one attempt, retried by their user, with one fault", {
    ...oneAttempt,
    retries: 1,
    faultsMax: 1,
  }],
  ["two subtasks of two attempts, with one fault", { ...oneAttempt, attemptsMax: 2, faultsMax: 1 }],
];

/** Returns the name of an action without the numbers of its worker and subtask. */
const nameOf = (action: string): string => action.replace(/ \d/g, "");

Deno.test("the rules of the queue hold in every reachable state", async (t) => {
  const actions = new Set<string>();
  const performed = new Set<string>();
  const explored: number[][] = [];
  for (const [what, setting] of explorations) {
    await t.step(what, () => {
      const model = queueModel(setting);
      const report = check(model);
      assert.equal(describe(report), "all rules hold");
      const { cells, attemptsMax, retries, faultsMax } = setting;
      explored.push([cells, attemptsMax, retries, faultsMax, report.states, report.moves, report.depth]);
      for (const { name } of model.actions) actions.add(nameOf(name));
      for (const name of report.performed) performed.add(nameOf(name));
    });
  }
  assert.deepEqual([...actions.difference(performed)], [], "actions that were never performed");
  await t.step("docs/queue-model.md has the numbers of these explorations, and their sums", () => {
    assert.deepEqual(listedExplorations, explored);
    const sum = (column: number) =>
      explored.reduce((total, row) => total + row[column]!, 0).toLocaleString("en");
    assert.match(page, new RegExp(`in all ${sum(4)} states and ${sum(5)} moves`));
  });
});

const rules = {
  counters: "the counters equal the rows",
  paid: "a POST is repeated only after a failure or after its id could not be saved",
  attempt: "an attempt has one POST",
  lost: "every lost POST is counted",
  notices: "a task has one notice of each kind",
  ended: "the task has ended if its subtasks have",
  final: "an end state does not change",
  cancelled: "nothing starts after the cancellation of its task",
  stale: "a write under a lost lease changes nothing",
  living: "a living worker keeps its lease",
  stuck: "every subtask can still end",
};

const without = (...removed: (keyof Guards)[]): Guards => ({
  ...guards,
  ...Object.fromEntries(removed.map((guard) => [guard, false])),
});

/** Guards to remove and the rule that is broken without them. */
interface Broken {
  without: (keyof Guards)[];
  /** Broken rule, and a part of an action's name in its trace. */
  rule: keyof typeof rules;
  by: string;
  setting?: Setting;
  faults?: Fault[];
}

const brokenModels: Broken[] = [
  { without: ["leaseInSettle"], rule: "final", by: "user: cancels" },
  { without: ["leaseInRetry"], rule: "stale", by: "writes the error" },
  { without: ["leaseInSave"], rule: "stale", by: "saves the remote id" },
  { without: ["leaseInBegin"], rule: "stale", by: "starts the next attempt" },
  { without: ["leaseEndsWithState"], rule: "final", by: "user: cancels" },
  { without: ["stateInClaim"], rule: "living", by: "claims" },
  { without: ["openInClaim"], rule: "cancelled", by: "user: cancels", setting: oneAttempt },
  { without: ["registeredInClaim"], rule: "paid", by: "is declared dead while paused" },
  { without: ["countersInStatement"], rule: "counters", by: "settles" },
  { without: ["outboxUnique"], rule: "notices", by: "user: retries failed subtasks" },
  { without: ["refeed"], rule: "stuck", by: "is declared dead while paused" },
  { without: ["refeed", "epoch"], rule: "stuck", by: "FLUSHALL", faults: ["wipe"] },
  { without: ["refeed", "ackAfterClaim"], rule: "stuck", by: "dies", faults: ["crash"] },
  { without: ["refeed", "takeOver"], rule: "stuck", by: "dies", faults: ["crash"] },
  { without: ["rejoinsAnew"], rule: "stale", by: "sends a heartbeat again" },
  { without: ["remoteSaved"], rule: "paid", by: "shuts down" },
  { without: ["remoteAdopted"], rule: "paid", by: "shuts down" },
  { without: ["remoteSaved"], rule: "paid", by: "dies", faults: ["crash"] },
  { without: ["remoteAdopted"], rule: "paid", by: "dies", faults: ["crash"] },
  { without: ["cancelLocksTask"], rule: "ended", by: "user: cancels" },
  { without: ["orphanRechecked"], rule: "living", by: "second leader: releases" },
  { without: ["unsavedKept"], rule: "paid", by: "of a silent worker" },
  { without: ["claimAnswerAwaited"], rule: "paid", by: "releases a lease" },
  { without: ["unsentChecked"], rule: "attempt", by: "shuts down" },
  { without: ["lostPostsCounted"], rule: "lost", by: "shuts down" },
];
/** The page has these guards once, with all faults. */
const isListed = ({ without: [guard], faults }: Broken) =>
  !(faults && (guard?.startsWith("remote") ?? false));
const listedModels = brokenModels.filter(isListed);

Deno.test("docs/queue-model.md has a length for each removed guard", () => {
  assert.equal(listedLengths.length, listedModels.length);
});

for (const broken of brokenModels) {
  const { without: removed, rule, by, setting = oneCell, faults = allFaults } = broken;
  const under = faults === allFaults ? "" : ` (faults: ${faults.join(", ")})`;
  Deno.test(`without ${removed.join(" and ")} this rule is broken: ${rules[rule]}${under}`, () => {
    const report = check(queueModel({ ...setting, guards: without(...removed), faults }));
    assert.equal(report.violation?.rule, rules[rule], describe(report));
    assert.ok(report.violation.trace.some((name) => name.includes(by)), describe(report));
    if (!isListed(broken)) return;
    assert.equal(report.violation.trace.length, listedLengths[listedModels.indexOf(broken)]);
  });
}

Deno.test("without the lease in settling, a result overwrites the attempt of another worker", () => {
  const report = check(
    queueModel({ ...oneCell, guards: { ...without("leaseInSettle"), stateInWrites: true } }),
  );
  assert.equal(report.violation?.rule, rules.stale, describe(report));
  assert.match(report.violation.trace.at(-1)!, /settles/);
});

Deno.test("without the lock between claiming and cancelling, work starts after the commit of a cancellation", () => {
  const model: Model<State> = queueModel({ ...oneAttempt, guards: without("cancelLocksTask") });
  const report = check({ ...model, states: [] });
  assert.equal(report.violation?.rule, rules.cancelled, describe(report));
  assert.match(report.violation.trace.at(-1)!, /commits its claim/);
});

const redundantGuards: [string, Guards, Fault[]][] = [
  ["a state check in every write, if leases outlive their state", {
    ...without("leaseEndsWithState"),
    stateInWrites: true,
  }, allFaults],
  ["feeding pending cells again, if a wipe is not noticed", without("epoch"), allFaults],
  [
    "feeding pending cells again, if reads are acknowledged at once",
    without("ackAfterClaim"),
    allFaults,
  ],
  [
    "feeding pending cells again, if unacknowledged entries are not taken over",
    without("takeOver"),
    allFaults,
  ],
  ["noticing a wipe, if pending cells are not fed again", without("refeed"), ["wipe"]],
  ["taking over unacknowledged entries, if pending cells are not fed again", without("refeed"), ["crash"]],
];
for (const [what, kept, faults] of redundantGuards) {
  Deno.test(`one of two guards is sufficient: ${what}`, () => {
    const report = check(queueModel({ ...oneCell, guards: kept, faults, retries: 0 }));
    assert.equal(describe(report), "all rules hold");
  });
}
