/** `deno task migrate data VERB`: moves the documents of the old database, and proves it. */
import { Command } from "commander";
import { AppError } from "../../errors.ts";
import { type DataContext, progressOf, withPool } from "./context.ts";
import { requireSchema } from "../schema/runner.ts";
import { load, rangeBytesDefault } from "./load/load.ts";
import { openSource } from "./sources/open.ts";
import { formatStatus, formatTable, readStatus } from "./ledger/status.ts";
import { decideUnfinished, type Decision, formatUnfinished } from "./ledger/unfinished.ts";
import { addVerbs, parseDecision } from "./verbs.ts";
import { type Verdict, verify } from "./verify/verify.ts";

const parseBytes = (text: string): number => {
  const bytes = Number(text);
  if (!Number.isSafeInteger(bytes) || bytes < 4096 || bytes > 64 * 1024 * 1024) {
    throw new AppError("usage", `--range-bytes '${text}': wanted a whole number from 4096 to 67108864`);
  }
  return bytes;
};

interface LoadFlags {
  from: string;
  json?: true;
  quiet?: true;
  rangeBytes: number;
  unfinished: Decision;
}

async function runLoad(context: DataContext, flags: LoadFlags): Promise<void> {
  await using source = await openSource(flags.from);
  const notes = [...source.notes];
  const onNote = (note: string) => {
    if (flags.json) notes.push(note);
    else context.print(`note: ${note}`);
  };
  if (!flags.json) notes.forEach(onNote);
  const { result, status } = await withPool(context, async (pool) => {
    const started = performance.now();
    const { rangeBytes } = flags;
    const result = await load(pool, source, {
      rangeBytes,
      progress: progressOf(flags),
      signal: context.signal,
      onNote,
    });
    const seconds = (performance.now() - started) / 1000;
    const unfinished = await decideUnfinished(pool, flags.unfinished);
    return { result: { ...result, seconds, unfinished }, status: await readStatus(pool) };
  });
  if (flags.json) return context.print(JSON.stringify({ ...result, status, notes }));
  context.print(formatStatus(status));
  if (result.unfinished.before.length > 0) context.print(`\n${formatUnfinished(result.unfinished)}`);
  const { documents, seconds } = result;
  context.print(
    documents === 0
      ? "everything of this source was in already: nothing changed"
      : `${documents.toLocaleString("en")} documents in ${seconds.toFixed(1)} s (${
        Math.round(documents / seconds).toLocaleString("en")
      }/s)`,
  );
  failUnlessBalanced(status.verdict);
}

function failUnlessBalanced(verdict: string): void {
  if (verdict === "unbalanced") {
    throw new AppError("ledger_unbalanced", "checking the ledger: it does not add up, see the lines with ✗");
  }
}

/** The verdict for people. */
export function formatVerdict(verdict: Verdict): string {
  const { documents, rows, quarantined, differences, mismatches, resumed } = verdict;
  const n = (count: number) => count.toLocaleString("en");
  const went = resumed
    ? `went on where it was: ${resumed.ranges} of ${resumed.of} ranges were compared from ${resumed.since} on\n`
    : "";
  const head = `${went}${n(documents)} documents: ${n(rows)} compared with their rows in full, ${
    n(quarantined)
  } in quarantine`;
  if (differences === 0) return `${head}\nequal: no difference`;
  const table = formatTable(
    ["collection", "_id", "what", "path", "source", "row", "cause"],
    mismatches.slice(0, 50).map((m) => [
      m.collection,
      m.document_id,
      m.kind,
      m.path,
      m.source_value ?? "",
      m.row_value ?? "",
      m.cause,
    ]),
  );
  const more = differences > 50 ? `\n… and ${n(differences - 50)} more` : "";
  return `${head}\n${table}${more}\nDIFFERENT: ${n(differences)} differences`;
}

interface VerifyFlags {
  from: string;
  again?: true;
  json?: true;
  quiet?: true;
}

async function runVerify(context: DataContext, flags: VerifyFlags): Promise<void> {
  await using source = await openSource(flags.from);
  const { signal } = context;
  const started = performance.now();
  const verdict = await withPool(
    context,
    (pool) => verify(pool, source, { progress: progressOf(flags), signal, again: flags.again ?? false }),
  );
  const seconds = (performance.now() - started) / 1000;
  context.print(flags.json ? JSON.stringify({ ...verdict, seconds }) : formatVerdict(verdict));
  if (verdict.differences > 0) {
    throw new AppError(
      "differences_found",
      `verifying: ${verdict.differences} differences between source and rows`,
    );
  }
}

async function runStatus(context: DataContext, { json }: { json?: true }): Promise<void> {
  const status = await withPool(context, async (pool) => {
    await requireSchema(pool);
    return await readStatus(pool);
  });
  context.print(json ? JSON.stringify(status) : formatStatus(status));
  failUnlessBalanced(status.verdict);
}

const runbook = `
In this order, SOURCE being a folder or archive of mongodump, a folder of mongoexport, mongodb://…, or 'mongodb' for
MONGODB_URL and DB_NAME:
  1  assess --from SOURCE --html page.html   is it worth loading? writes nothing
  2  backup --to FOLDER --from SOURCE        what is there now, and the documents as they came
  3  load --from SOURCE                      stopped or killed: the same command goes on
  4  verify --from SOURCE                    every document with its row, in full; status: the ledger
  5  quarantine, why ID                      what got no row, and what is known of one document
  6  repair --from SOURCE                    only where verify found differences: a plan, then --apply
  7  unfinished resume|cancel                old work waits until you decide
  8  report --out FILE                       for the archive
Back to the state of 2: restore --backup FOLDER --replace. Exit codes: docs/errors.md; the walk: docs/migrating.md.`;

/** The `data` command with its verbs. */
export function dataCommand(context: DataContext): Command {
  const data = new Command("data").description("carry the old database's documents over, and prove it");
  const from = [
    "--from <source>",
    "a folder of mongoexport or mongodump, an archive, mongodb://…, or 'mongodb' for MONGODB_URL",
  ] as const;
  data.command("load")
    .description("load what is not loaded yet; run it again after a stop, a second run changes nothing")
    .requiredOption(...from)
    .option("--range-bytes <n>", "bytes of source in one transaction", parseBytes, rangeBytesDefault)
    .option("--unfinished <decision>", "resume, cancel or keep what was not finished", parseDecision, "keep")
    .option("--json", "one JSON object on stdout")
    .option("--quiet", "no progress on stderr")
    .action((flags: LoadFlags) => runLoad(context, flags));
  data.command("verify")
    .description("compare the full content of every document with its row; run it again after a stop")
    .requiredOption(...from)
    .option("--again", "from the beginning, also where an earlier verify was interrupted")
    .option("--json", "one JSON object on stdout")
    .option("--quiet", "no progress on stderr")
    .action((flags: VerifyFlags) => runVerify(context, flags));
  data.command("status")
    .description("recount the ledger: every document has a row or a reason")
    .option("--json", "one JSON object on stdout")
    .action((flags: { json?: true }) => runStatus(context, flags));
  addVerbs(data, context);
  data.addHelpText("after", runbook);
  return data;
}
