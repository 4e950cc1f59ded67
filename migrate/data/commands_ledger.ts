/** The commands `unfinished`, `quarantine` and `why`. */
import type { Command } from "commander";
import { AppError } from "../../errors.ts";
import { requireSchema } from "../schema/runner.ts";
import { type DataContext, options, printResult, progressOf, withPool } from "./context.ts";
import { formatQuarantine, listQuarantine, type QuarantineFilter } from "./ledger/quarantine.ts";
import { formatReplay } from "./repair/format.ts";
import { replayQuarantine } from "./repair/replay.ts";
import { decideUnfinished, type Decision, decisions, formatUnfinished } from "./ledger/unfinished.ts";
import { explainDocument } from "./ledger/why.ts";
import { formatExplanations } from "./ledger/why_format.ts";
import { quoted } from "../../phrases.ts";

/** Parses a decision. @throws AppError usage */
export function parseDecision(text: string): Decision {
  const decision = decisions.find((known) => known === text);
  if (decision) return decision;
  throw new AppError("usage", `unfinished ${quoted(text)}: wanted one of ${decisions.join(", ")}`);
}

/** Adds the command `unfinished`. */
export function addUnfinished(data: Command, context: DataContext): void {
  data.command("unfinished")
    .description(
      "decide about imported tasks that the old backend had not finished; they are held until then",
    )
    .argument("[decision]", `${decisions.join(", ")}; keep only lists the held tasks`, parseDecision, "keep")
    .option(...options.json)
    .addHelpText(
      "after",
      `
resume  dispatch the drawable tasks; cells that were being drawn start again
cancel  cancel all held tasks; tasks whose cells have all ended get their status from the cells
keep    change nothing (the default of a load)

Verify before you decide: afterwards, resumed and cancelled tasks differ from their documents.`,
    )
    .action(async (decision: Decision, flags: { json?: true }) => {
      const result = await withPool(context, async (pool) => {
        await requireSchema(pool);
        return await decideUnfinished(pool, decision);
      });
      printResult(context, flags, result, () => formatUnfinished(result));
    });
}

interface QuarantineFlags extends QuarantineFilter {
  samples: number;
  replay?: true;
  apply?: true;
  json?: true;
  quiet?: true;
}

function parseSamples(text: string): number {
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new AppError("usage", `--samples ${quoted(text)}: wanted a whole number from 0 to 999`);
}

async function runQuarantine(context: DataContext, flags: QuarantineFlags): Promise<void> {
  const { samples, replay, apply = false, json: _json, quiet: _quiet, ...filter } = flags;
  if (apply && !replay) throw new AppError("usage", "--apply: wanted together with --replay");
  await withPool(context, async (pool) => {
    await requireSchema(pool);
    if (replay) {
      const { signal } = context;
      const result = await replayQuarantine(pool, { ...filter, apply, progress: progressOf(flags), signal });
      return printResult(context, flags, result, () => formatReplay(result));
    }
    const groups = await listQuarantine(pool, { ...filter, samples });
    printResult(context, flags, { groups }, () => formatQuarantine(groups));
  });
}

/** Adds the command `quarantine`. */
export function addQuarantine(data: Command, context: DataContext): void {
  data.command("quarantine")
    .description("show documents without a row, by reason and path; load them again with --replay")
    .option("--reason <reason>", "only this reason")
    .option("--collection <name>", "only users, tasks or dramatiq_tasks")
    .option("--path <path>", "only this field")
    .option("--samples <n>", "number of documents shown of each group", parseSamples, 3)
    .option("--replay", "try to load the documents again, without changing anything")
    .option("--apply", "with --replay: store the new rows")
    .option(...options.json)
    .option(...options.quiet)
    .addHelpText(
      "after",
      `
The quarantine keeps the bytes of each document, so no document is lost. Replay after an upgrade that changed a rule,
or after the tasks of orphaned subtasks have been loaded from another source:
  deno task migrate data quarantine --replay                    show which documents would get a row now
  deno task migrate data quarantine --replay --reason orphan    the same, for orphans only
  deno task migrate data quarantine --replay --apply            store the rows, ledger and counters in one transaction`,
    )
    .action((flags: QuarantineFlags) => runQuarantine(context, flags));
}

/** Adds the command `why`. */
export function addWhy(data: Command, context: DataContext): void {
  data.command("why")
    .description("explain one document: row, rules, quarantine reason, verifications, repairs")
    .argument("<id>", "24 hex digits of an ObjectId, a uuid, or any _id as text or Extended JSON")
    .option(...options.json)
    .action(async (id: string, flags: { json?: true }) => {
      const findings = await withPool(context, async (pool) => {
        await requireSchema(pool);
        return await explainDocument(pool, id);
      });
      printResult(context, flags, { findings }, () => formatExplanations(findings));
    });
}
