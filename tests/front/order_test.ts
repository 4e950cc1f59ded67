/** The safe order of the phases. */
import assert from "node:assert/strict";
import { checkPhaseChange } from "../../db/traffic/order.ts";
import { type Phase, phases } from "../../db/traffic/traffic.ts";

const check = (phase: Phase, wanted: { phase?: Phase; share?: number }, { share = 0, force = false } = {}) =>
  checkPhaseChange({ phase, share }, wanted, { force });

/** Which phases an operator may set without force, from each phase. */
const allowed: Record<Phase, Phase[]> = {
  old: ["shadow"],
  shadow: ["old", "canary"],
  canary: ["old", "shadow"],
  holding: [],
  new: [],
};
for (const now of phases) {
  for (const next of phases) {
    if (now === next) continue;
    const isAllowed = allowed[now].includes(next);
    Deno.test(`'${now}' to '${next}' is ${isAllowed ? "in order" : "refused"}`, () => {
      const plain = check(now, { phase: next });
      assert.equal(plain.result, isAllowed ? "allowed" : "refused");
      const forced = check(now, { phase: next }, { force: true });
      if (next === "holding") {
        assert.deepEqual([plain, forced].map(({ result }) => result), ["refused", "refused"]);
        assert.ok(plain.result === "refused" && !plain.canForce);
      } else {
        assert.ok(forced.result === "allowed");
        assert.equal(forced.mayLose === null, isAllowed, "a forced change says what it may lose");
        assert.ok(plain.result === "allowed" || plain.result === "refused" && plain.canForce);
      }
    });
  }
}

Deno.test("a refusal names the two phases and the command that does it safely", () => {
  const toNew = check("canary", { phase: "new" });
  assert.ok(toNew.result === "refused");
  assert.match(toNew.reason, /^'canary' to 'new': .*'deno task migrate data cutover'/);
  const back = check("new", { phase: "canary" });
  assert.ok(back.result === "refused");
  assert.match(back.reason, /'deno task migrate data rollback'/);
});

Deno.test("the share changes in canary only, and begins at 0 again", () => {
  const canary = { result: "allowed", phase: "canary", mayLose: null } as const;
  assert.deepEqual(check("shadow", { phase: "canary" }), { ...canary, share: 0 });
  assert.deepEqual(check("shadow", { phase: "canary", share: 5 }), { ...canary, share: 5 });
  assert.deepEqual(check("canary", { share: 25 }, { share: 5 }), { ...canary, share: 25 });
  assert.deepEqual(check("canary", { phase: "shadow" }, { share: 25 }), {
    ...canary,
    phase: "shadow",
    share: 0,
  });
  for (const phase of ["old", "shadow", "new"] as const) {
    const refused = check(phase, { share: 5 }, { force: true });
    assert.ok(refused.result === "refused" && !refused.canForce);
  }
  assert.equal(check("holding", { share: 5 }, { force: true }).result, "refused");
  for (const share of [101, -1, 0.5, NaN]) {
    assert.equal(check("canary", { share }, { force: true }).result, "refused", String(share));
  }
});

Deno.test("what is so already is no change", () => {
  assert.equal(check("old", { phase: "old" }).result, "unchanged");
  assert.equal(check("old", { share: 0 }).result, "unchanged");
  assert.equal(check("canary", { phase: "canary", share: 5 }, { share: 5 }).result, "unchanged");
  assert.equal(check("canary", {}, { share: 5 }).result, "unchanged");
});
