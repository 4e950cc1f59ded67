/** The verb `repair`: plan, apply, recheck, undo. */
import type { Command } from "commander";
import type { Pool } from "../../db/pg/connect.ts";
import { AppError } from "../../errors.ts";
import { requireSchema } from "../schema/runner.ts";
import { type DataContext, progressOf, tell, withPool } from "./context.ts";
import { openSource } from "./sources/open.ts";
import { applyRepair, formatPlan, formatRepair } from "./repair/repair.ts";
import { planRepair } from "./repair/plan.ts";
import { formatUndo, undoRepair } from "./repair/undo.ts";

interface RepairFlags {
  from?: string;
  apply?: true;
  plan?: string;
  undo?: string;
  deleteExtra?: true;
  overNew?: true;
  json?: true;
  quiet?: true;
}

async function repair(pool: Pool, context: DataContext, flags: RepairFlags): Promise<void> {
  if (flags.from === undefined) {
    throw new AppError("usage", "repair: wanted --from <source>, or --undo <plan>");
  }
  const options = {
    progress: progressOf(flags),
    signal: context.signal,
    deleteExtra: flags.deleteExtra ?? false,
    overNew: flags.overNew ?? false,
  };
  await using source = await openSource(flags.from);
  const plan = await planRepair(pool, source, options);
  if (flags.plan !== undefined && flags.plan !== plan.plan) {
    throw new AppError(
      "conflict",
      `repairing by plan '${flags.plan}': source or rows changed since, the plan is '${plan.plan}' now; look again`,
    );
  }
  if (!flags.apply || plan.steps.length === 0) {
    tell(context, flags.json, plan, () => formatPlan(plan));
    if (plan.differences === 0) return;
    throw new AppError(
      "differences_found",
      plan.steps.length === 0
        ? `repairing: ${plan.differences} differences, none of which can be repaired as told`
        : `repairing: ${plan.differences} differences; nothing was changed, add --apply to carry out the plan`,
    );
  }
  const result = await applyRepair(pool, plan);
  // Opened anew: what was surveyed before the repair may have changed since.
  await using reopened = await openSource(flags.from);
  const again = await planRepair(pool, reopened, options);
  const recheck = { differences: again.differences, left: again.left };
  tell(
    context,
    flags.json,
    { ...plan, result, recheck },
    () => `${formatPlan(plan)}\n\n${formatRepair(result)}\n\nchecked again: ${formatPlan(again)}`,
  );
  if (again.differences > 0) {
    throw new AppError("differences_found", `repairing: ${again.differences} differences are left`);
  }
}

/** Adds it to `data`. */
export function addRepair(data: Command, context: DataContext): void {
  data.command("repair")
    .description("make rows equal to their documents again: plan first, guarded, with an undo log")
    .option("--from <source>", "the source that was loaded")
    .option("--apply", "carry the plan out, then verify again")
    .option("--plan <name>", "only if the plan is still the one that was shown")
    .option("--undo <name>", "take a plan back that was carried out")
    .option("--delete-extra", "also delete rows that no document of the source has")
    .option("--over-new", "also put documents back over what the new system changed since the load")
    .option("--json", "one JSON object on stdout")
    .option("--quiet", "no progress on stderr")
    .addHelpText(
      "after",
      `
  deno task migrate data repair --from SOURCE                       verifies, shows the plan and its name
  deno task migrate data repair --from SOURCE --apply --plan NAME   that plan and no other, then verifies again
  deno task migrate data repair --undo NAME                         every row as it was before

A step changes a row only in the version that the plan saw; whatever changed meanwhile is skipped and told. All
steps are one transaction. Exit 0: equal. Exit 4: differences are left, or nothing was applied yet.`,
    )
    .action((flags: RepairFlags) =>
      withPool(context, async (pool) => {
        await requireSchema(pool);
        if (flags.undo === undefined) return await repair(pool, context, flags);
        const result = await undoRepair(pool, flags.undo);
        tell(context, flags.json, result, () => formatUndo(result));
      })
    );
}
