/** The verb `assess`. */
import type { Command } from "commander";
import { AppError } from "../../errors.ts";
import { assess } from "./assess/assess.ts";
import { askServer, judgeServer } from "./assess/live.ts";
import { makePage } from "./assess/page.ts";
import { formatAssessment, judge, verdictCodes } from "./assess/verdict.ts";
import { type DataContext, progressOf, tell, writeAsked } from "./context.ts";
import { openSource } from "./sources/open.ts";

interface AssessFlags {
  from: string;
  html?: string;
  json?: true;
  quiet?: true;
}

async function runAssess(context: DataContext, flags: AssessFlags): Promise<void> {
  await using source = await openSource(flags.from);
  const assessment = await assess(source, { progress: progressOf(flags), signal: context.signal });
  const server = source.kind === "mongodb" ? await askServer(flags.from) : undefined;
  const verdict = judge(
    assessment,
    server ? judgeServer(server, assessment.predicted.load_seconds) : undefined,
  );
  if (flags.html !== undefined) await writeAsked("--html", flags.html, makePage(assessment, verdict));
  tell(
    context,
    flags.json,
    { ...verdict, ...assessment, server: server ?? null },
    () => formatAssessment(assessment, verdict),
  );
  if (verdict.verdict === "GO") return;
  const count = verdict.reasons.filter(({ level }) => level !== "note").length;
  throw new AppError(
    verdictCodes[verdict.verdict],
    `assessing: ${verdict.verdict}, ${count} ${count === 1 ? "reason" : "reasons"}; see above`,
  );
}

/** Adds it to `data`. */
export function addAssess(data: Command, context: DataContext): void {
  data.command("assess")
    .description("read everything, write nothing: what a load would make of it, and whether to")
    .requiredOption("--from <source>", "a folder, an archive, mongodb://…, or 'mongodb' for MONGODB_URL")
    .option("--html <file>", "also write one page for those who decide")
    .option("--json", "one JSON object on stdout")
    .option("--quiet", "no progress on stderr")
    .addHelpText(
      "after",
      `
Begin here; no database is needed. Every document goes through the same rules as in a load: generations, types of
fields, what each rule would touch, what would get no row, disk and time; of a MongoDB also its oplog and indexes.

Exit 0: GO. Exit 5: WAIT, a load works but somebody should decide first. Exit 6: NO-GO. Give it a canonical export or
a mongodump: the relaxed form of mongoexport does not tell int32 from int64.`,
    )
    .action((flags: AssessFlags) => runAssess(context, flags));
}
