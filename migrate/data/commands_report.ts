/** The command `report`. */
import type { Command } from "commander";
import { parseConfig, readEnvironment } from "../../config.ts";
import { AppError } from "../../errors.ts";
import { requireSchema } from "../schema/runner.ts";
import { type DataContext, options, printResult, progressOf, withPool, writeOutputFile } from "./context.ts";
import { compareReport, makeReport, type Report, type ReportCheck } from "./ledger/report.ts";
import { formatStatus } from "./ledger/status.ts";

interface ReportFlags {
  out?: string;
  check?: string;
  json?: true;
  quiet?: true;
}

async function readReport(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    const text = `--check '${path}': the file cannot be read: ${(cause as Error).message}`;
    throw new AppError("source_missing", text, { cause });
  }
}

function formatCheck({ state, made_at, changed }: ReportCheck): string {
  const rows = changed.length === 0
    ? "the imported rows have not changed since then"
    : `imported rows have changed since then in: ${changed.join(", ")} (expected once work goes on)`;
  return `${state} report of ${made_at}: its content is unchanged\n${rows}`;
}

function formatReport(report: Report, out: string | undefined): string {
  return [
    formatStatus(report.status),
    `SHA-256 ${report.sha256}`,
    report.signature ? "signed with SECRET_KEY" : "not signed: SECRET_KEY is not set",
    out === undefined ? "add --out FILE to write the report to a file" : `written to '${out}'`,
  ].join("\n");
}

async function runCheck(context: DataContext, flags: ReportFlags, secretKey: string): Promise<void> {
  const text = await readReport(flags.check!);
  const check = await withPool(context, (pool) => compareReport(pool, text, secretKey));
  printResult(context, flags, check, () => formatCheck(check));
}

async function runReport(context: DataContext, flags: ReportFlags): Promise<void> {
  const { SECRET_KEY: secretKey } = parseConfig(readEnvironment(), "migrate");
  if (flags.check !== undefined) return await runCheck(context, flags, secretKey);
  const report = await withPool(context, async (pool) => {
    await requireSchema(pool);
    const progress = progressOf(flags);
    progress.begin("digesting rows", 0);
    const report = await makeReport(pool, { secretKey, onRows: (rows) => progress.add(1, rows) });
    progress.end();
    return report;
  });
  const { out } = flags;
  if (out !== undefined) await writeOutputFile("--out", out, `${JSON.stringify(report, null, 2)}\n`);
  printResult(context, flags, report, () => formatReport(report, out));
  if (report.status.verdict === "unbalanced") {
    throw new AppError(
      "ledger_unbalanced",
      "reporting: the ledger's counts do not add up, see the lines with ✗",
    );
  }
}

/** Adds the command `report`. */
export function addReport(data: Command, context: DataContext): void {
  data.command("report")
    .description(
      "write the report of the whole migration for the archive, signed with SECRET_KEY if it is set",
    )
    .option("--out <file>", "write the report as JSON to this file")
    .option("--check <file>", "check a report: its SHA-256, its signature, and the current rows")
    .option(...options.json)
    .option(...options.quiet)
    .addHelpText(
      "after",
      `
The report lists sources with their fingerprints and runs, counts, digests of all ranges and tables, quarantine, rules,
repairs, verifications and versions. Write it after the last verify and keep it; --check later shows whether the report
or the imported rows have changed.`,
    )
    .action((flags: ReportFlags) => runReport(context, flags));
}
