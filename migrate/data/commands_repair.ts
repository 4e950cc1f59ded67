/** The command `repair`: plan, apply, verify again, undo. */
import { requireWritableServer } from "../../db/pg/server.ts";
import type { Command } from "commander";
import type { Pool } from "../../db/pg/connect.ts";
import { AppError } from "../../errors.ts";
import { requireSchema } from "../schema/runner.ts";
import { type DataContext, options, printResult, progressOf, withPool } from "./context.ts";
import { openSource } from "./sources/open.ts";
import { formatPlan, formatRepair, formatUndo } from "./repair/format.ts";
import { planRepair } from "./repair/plan.ts";
import { applyRepair } from "./repair/repair.ts";
import type { RepairPlan } from "./repair/step.ts";
import { undoRepair } from "./repair/undo.ts";
import { counted, inflect } from "../../phrases.ts";

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

/** @throws AppError differences_found, unless the plan has no differences */
function printPlan(context: DataContext, flags: RepairFlags, plan: RepairPlan): void {
  printResult(context, flags, plan, () => formatPlan(plan));
  const { differences, steps } = plan;
  if (differences === 0) return;
  throw new AppError(
    "differences_found",
    steps.length === 0
      ? `repairing: ${counted(differences, "difference")}, none of which can be repaired with these options`
      : `repairing: ${
        counted(differences, "difference")
      }; nothing was changed, add --apply to apply the plan`,
  );
}

async function runRepair(pool: Pool, context: DataContext, flags: RepairFlags): Promise<void> {
  if (flags.from === undefined) {
    throw new AppError("usage", "repair: wanted --from <source>, or --undo <plan>");
  }
  const planOptions = {
    progress: progressOf(flags),
    signal: context.signal,
    deleteExtra: flags.deleteExtra ?? false,
    overwriteNew: flags.overNew ?? false,
  };
  await using source = await openSource(flags.from);
  const plan = await planRepair(pool, source, planOptions);
  if (flags.plan !== undefined && flags.plan !== plan.plan) {
    throw new AppError(
      "conflict",
      `repairing by plan '${flags.plan}': the source or the rows changed since then; the current plan is ` +
        `'${plan.plan}', check it first`,
    );
  }
  if (!flags.apply || plan.steps.length === 0) return printPlan(context, flags, plan);
  const result = await applyRepair(pool, plan);
  // The source is opened again because it may have changed since it was surveyed.
  await using reopened = await openSource(flags.from);
  const next = await planRepair(pool, reopened, planOptions);
  const recheck = { differences: next.differences, left: next.left };
  printResult(
    context,
    flags,
    { ...plan, result, recheck },
    () => `${formatPlan(plan)}\n\n${formatRepair(result)}\n\nverified again: ${formatPlan(next)}`,
  );
  if (next.differences > 0) {
    throw new AppError(
      "differences_found",
      `repairing: ${counted(next.differences, "difference")} ${
        inflect(next.differences, "remains", "remain")
      }`,
    );
  }
}

/** Adds the command `repair`. */
export function addRepair(data: Command, context: DataContext): void {
  data.command("repair")
    .description("plan and apply changes that make rows equal to their documents; each repair can be undone")
    .option("--from <source>", "source that was loaded")
    .option("--apply", "apply the plan, then verify again")
    .option("--plan <name>", "apply only if the current plan has this name")
    .option("--undo <name>", "undo the plan with this name")
    .option("--delete-extra", "also delete rows that no document of the source has")
    .option("--over-new", "also overwrite rows that the new system changed since the load")
    .option(...options.json)
    .option(...options.quiet)
    .addHelpText(
      "after",
      `
  deno task migrate data repair --from SOURCE                       verify, then show the plan and its name
  deno task migrate data repair --from SOURCE --apply --plan NAME   apply this plan only, then verify again
  deno task migrate data repair --undo NAME                         restore the rows as they were before

A step changes a row only if the row has not changed since the plan was made; other steps are skipped and listed. All
steps run in one transaction. Exit 0: equal. Exit 4: differences remain, or nothing was applied.`,
    )
    .action((flags: RepairFlags) =>
      withPool(context, async (pool) => {
        await requireWritableServer(pool);
        await requireSchema(pool);
        if (flags.undo === undefined) return await runRepair(pool, context, flags);
        const result = await undoRepair(pool, flags.undo);
        printResult(context, flags, result, () => formatUndo(result));
      })
    );
}
