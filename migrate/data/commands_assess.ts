/** The command `assess`. */
import type { Command } from "commander";
import { AppError } from "../../errors.ts";
import { assessSource } from "./assess/source.ts";
import { makePage } from "./assess/page.ts";
import { formatAssessment, verdictCodes } from "./assess/verdict.ts";
import { type DataContext, options, printResult, progressOf, writeOutputFile } from "./context.ts";
import { counted } from "../../phrases.ts";

interface AssessFlags {
  from: string;
  html?: string;
  json?: true;
  quiet?: true;
}

async function runAssess(context: DataContext, flags: AssessFlags): Promise<void> {
  const { assessment, verdict, server } = await assessSource(flags.from, {
    progress: progressOf(flags),
    signal: context.signal,
  });
  if (flags.html !== undefined) await writeOutputFile("--html", flags.html, makePage(assessment, verdict));
  printResult(
    context,
    flags,
    { ...verdict, ...assessment, server },
    () => formatAssessment(assessment, verdict),
  );
  if (verdict.verdict === "GO") return;
  const count = verdict.reasons.filter(({ level }) => level !== "note").length;
  throw new AppError(
    verdictCodes[verdict.verdict],
    `assessing: ${verdict.verdict}, ${counted(count, "reason")}; see above`,
  );
}

/** Adds the command `assess`. */
export function addAssess(data: Command, context: DataContext): void {
  data.command("assess")
    .description(
      "predict the result of a load and whether to start it; reads the whole source and writes nothing",
    )
    .requiredOption(...options.from)
    .option("--html <file>", "also write the assessment as an HTML page")
    .option(...options.json)
    .option(...options.quiet)
    .addHelpText(
      "after",
      `
This command needs no database. Every document passes through the rules of a load. The result lists generations, field
types, documents that each rule would change, documents without a row, and the expected disk space and time. For a
running MongoDB it also checks the oplog and the indexes.

Exit 0: GO. Exit 5: WAIT, a load works but somebody should decide first. Exit 6: NO-GO. Use a canonical export or a
mongodump: the relaxed form of mongoexport does not distinguish int32 from int64.`,
    )
    .action((flags: AssessFlags) => runAssess(context, flags));
}
