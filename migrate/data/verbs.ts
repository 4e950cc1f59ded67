/** The verbs beside load, verify and status, each with what a person at two in the morning needs to know of it. */
import type { Command } from "commander";
import { AppError } from "../../errors.ts";
import { requireSchema } from "../schema/runner.ts";
import { type DataContext, progressOf, tell, withPool } from "./context.ts";
import { formatQuarantine, listQuarantine, type QuarantineFilter } from "./ledger/quarantine.ts";
import { addAssess } from "./verbs_assess.ts";
import { addBackup } from "./verbs_backup.ts";
import { addRepair } from "./verbs_repair.ts";
import { addReport } from "./verbs_report.ts";
import { formatReplay, replayQuarantine } from "./repair/replay.ts";
import { decideUnfinished, type Decision, decisions, formatUnfinished } from "./ledger/unfinished.ts";
import { explainDocument, formatFindings } from "./ledger/why.ts";

/** A decision out of a flag or an argument. */
export function parseDecision(text: string): Decision {
  const decision = decisions.find((known) => known === text);
  if (decision) return decision;
  throw new AppError("usage", `unfinished '${text}': wanted one of ${decisions.join(", ")}`);
}

const json = ["--json", "one JSON object on stdout"] as const;

function addUnfinished(data: Command, context: DataContext): void {
  data.command("unfinished")
    .description("decide over imported tasks that were not finished: no worker takes them until then")
    .argument("[decision]", `${decisions.join(", ")}; keep only shows what waits`, parseDecision, "keep")
    .option(...json)
    .addHelpText(
      "after",
      `
resume  what can be drawn is drawn: cells under way begin again, their tasks are dispatched
cancel  everything that waits is cancelled; tasks whose cells were all over end as their cells say
keep    nothing changes (this is what a load does)

Verify first: what is resumed or cancelled differs from its document from then on, as it should.`,
    )
    .action(async (decision: Decision, flags: { json?: true }) => {
      const result = await withPool(context, async (pool) => {
        await requireSchema(pool);
        return await decideUnfinished(pool, decision);
      });
      tell(context, flags.json, result, () => formatUnfinished(result));
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
  throw new AppError("usage", `--samples '${text}': wanted a whole number from 0 to 999`);
}

async function runQuarantine(context: DataContext, flags: QuarantineFlags): Promise<void> {
  const { samples, replay, apply, json, quiet: _, ...filter } = flags;
  if (apply && !replay) throw new AppError("usage", "--apply: wanted together with --replay");
  await withPool(context, async (pool) => {
    await requireSchema(pool);
    if (replay) {
      const { signal } = context;
      const result = await replayQuarantine(pool, {
        ...filter,
        apply: apply ?? false,
        progress: progressOf(flags),
        signal,
      });
      return tell(context, json, result, () => formatReplay(result));
    }
    const groups = await listQuarantine(pool, { ...filter, samples });
    tell(context, json, { groups }, () => formatQuarantine(groups));
  });
}

function addQuarantine(data: Command, context: DataContext): void {
  data.command("quarantine")
    .description("show what got no row, by reason and path, and try it again")
    .option("--reason <reason>", "only this reason")
    .option("--collection <name>", "only users, tasks or dramatiq_tasks")
    .option("--path <path>", "only this field")
    .option("--samples <n>", "documents shown of each group", parseSamples, 3)
    .option("--replay", "try the documents again, and take it back: says what --apply would do")
    .option("--apply", "with --replay: keep what came of it")
    .option(...json)
    .option("--quiet", "no progress on stderr")
    .addHelpText(
      "after",
      `
Each document's bytes are kept, so nothing here is lost. Replay after an upgrade that changed a rule, or when the
tasks of orphaned subtasks were loaded from another source:
  deno task migrate data quarantine --replay                    what would get a row now
  deno task migrate data quarantine --replay --reason orphan    only orphans
  deno task migrate data quarantine --replay --apply            do it; one transaction, ledger and counters with it`,
    )
    .action((flags: QuarantineFlags) => runQuarantine(context, flags));
}

function addWhy(data: Command, context: DataContext): void {
  data.command("why")
    .description("all that is known of one document: row, rules, reason, verifications, repairs")
    .argument("<id>", "24 hex digits of an ObjectId, a uuid, or any _id as text or Extended JSON")
    .option(...json)
    .action(async (id: string, flags: { json?: true }) => {
      const findings = await withPool(context, async (pool) => {
        await requireSchema(pool);
        return await explainDocument(pool, id);
      });
      tell(context, flags.json, { findings }, () => formatFindings(findings));
    });
}

/** Adds them to `data`. */
export function addVerbs(data: Command, context: DataContext): void {
  addAssess(data, context);
  addQuarantine(data, context);
  addWhy(data, context);
  addRepair(data, context);
  addUnfinished(data, context);
  addBackup(data, context);
  addReport(data, context);
}
