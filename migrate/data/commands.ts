/** `deno task migrate data COMMAND`: loads the documents of the old database and verifies the result. */
import { Command } from "commander";
import { AppError } from "../../errors.ts";
import { addCutover } from "./commands_cutover.ts";
import { addAssess } from "./commands_assess.ts";
import { addBack } from "./commands_back.ts";
import { addBackup } from "./commands_backup.ts";
import { addQuarantine, addUnfinished, addWhy, parseDecision } from "./commands_ledger.ts";
import { addMove } from "./commands_move.ts";
import { addRepair } from "./commands_repair.ts";
import { addReport } from "./commands_report.ts";
import { addStatus, checkBalance } from "./commands_status.ts";
import { addSync } from "./commands_sync.ts";
import { addVerify } from "./commands_verify.ts";
import { type DataContext, options, progressOf, withPool } from "./context.ts";
import { load, type LoadResult } from "./load/load.ts";
import { rangeBytesDefault } from "./load/plan.ts";
import { openSource } from "./sources/open.ts";
import { formatStatus, readStatus } from "./ledger/status.ts";
import { decideUnfinished, type Decision, formatUnfinished } from "./ledger/unfinished.ts";
import { formatCount, formatCounted } from "./tools/format.ts";
import { quoted } from "../../phrases.ts";

const rangeBytesMin = 4096;
const rangeBytesMax = 64 * 1024 * 1024;

function parseRangeBytes(text: string): number {
  const bytes = Number(text);
  if (!Number.isSafeInteger(bytes) || bytes < rangeBytesMin || bytes > rangeBytesMax) {
    throw new AppError(
      "usage",
      `--range-bytes ${quoted(text)}: wanted a whole number from ${rangeBytesMin} to ${rangeBytesMax}`,
    );
  }
  return bytes;
}

interface LoadFlags {
  from: string;
  json?: true;
  quiet?: true;
  rangeBytes: number;
  unfinished: Decision;
}

function formatSpeed({ documents, seconds }: LoadResult & { seconds: number }): string {
  if (documents === 0) return "all documents of this source were already loaded: nothing changed";
  const rate = formatCount(Math.round(documents / seconds));
  return `${formatCounted(documents, "document")} in ${seconds.toFixed(1)} s (${rate}/s)`;
}

async function runLoad(context: DataContext, flags: LoadFlags): Promise<void> {
  await using source = await openSource(flags.from);
  const notes: string[] = [];
  const onNote = (note: string) => {
    if (flags.json) notes.push(note);
    else context.print(`note: ${note}`);
  };
  source.notes.forEach(onNote);
  const { result, status } = await withPool(context, async (pool) => {
    const started = performance.now();
    const { rangeBytes } = flags;
    const { signal } = context;
    const result = await load(pool, source, { rangeBytes, progress: progressOf(flags), signal, onNote });
    const seconds = (performance.now() - started) / 1000;
    const unfinished = await decideUnfinished(pool, flags.unfinished);
    return { result: { ...result, seconds, unfinished }, status: await readStatus(pool) };
  });
  if (flags.json) return context.print(JSON.stringify({ ...result, status, notes }));
  context.print(formatStatus(status));
  if (result.unfinished.before.length > 0) context.print(`\n${formatUnfinished(result.unfinished)}`);
  context.print(formatSpeed(result));
  checkBalance(status.verdict);
}

const runbook = `
SOURCE is a folder or an archive of mongodump, a folder of mongoexport, a mongodb://… URL, or 'mongodb' for
MONGODB_URL and DB_NAME. The steps of a migration, in this order:
  1  assess --from SOURCE --html page.html   check whether the source can be loaded; writes nothing
  2  backup --to FOLDER --from SOURCE        save the current tables and the original documents
  3  load --from SOURCE                      load the documents; run it again to continue after a stop
  4  verify --from SOURCE, then status       compare every document with its row; check the ledger's counts
  5  quarantine, why ID                      show documents without a row; explain one document
  6  repair --from SOURCE                    plan a repair if verify found differences; apply it with --apply
  7  unfinished resume|cancel                decide about tasks that the old backend had not finished
  8  report --out FILE                       write the signed report for the archive
To go back to the state of step 2: restore --backup FOLDER --replace.
The whole move of a running system, step by step: move
A MongoDB that people keep writing to (docs/following.md), in place of steps 3 and 4:
  sync --from mongodb                        copy it, and apply its changes until stopped; --once ends when caught up
  status --from mongodb [--settled]          lag, head-room in the oplog, gaps, the ledger, and the next command
  verify --live --from mongodb               compare every document with its row while both change
  capture on, back --to mongodb              after the switch: write the changes made here to MongoDB
Exit codes: docs/errors.md. Walkthrough: docs/migrating.md.`;

/** Returns the command `data` with its subcommands. */
export function dataCommand(context: DataContext): Command {
  const data = new Command("data").description(
    "load the documents of the old database and verify the result",
  );
  data.command("load")
    .description("load all documents that are not loaded yet; run it again to continue after a stop")
    .requiredOption(...options.from)
    .option("--range-bytes <n>", "bytes of the source in one transaction", parseRangeBytes, rangeBytesDefault)
    .option("--unfinished <decision>", "resume, cancel or keep unfinished tasks", parseDecision, "keep")
    .option(...options.json)
    .option(...options.quiet)
    .action((flags: LoadFlags) => runLoad(context, flags));
  addVerify(data, context);
  addStatus(data, context);
  addAssess(data, context);
  addQuarantine(data, context);
  addWhy(data, context);
  addRepair(data, context);
  addUnfinished(data, context);
  addBackup(data, context);
  addReport(data, context);
  addBack(data, context);
  addCutover(data, context);
  addSync(data, context);
  addMove(data, context);
  data.addHelpText("after", runbook);
  return data;
}
