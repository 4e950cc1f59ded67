/** The verb `report`. */
import type { Command } from "commander";
import { parseConfig, readEnvironment } from "../../config.ts";
import { AppError } from "../../errors.ts";
import { requireSchema } from "../schema/runner.ts";
import { type DataContext, progressOf, tell, withPool, writeAsked } from "./context.ts";
import { compareReport, makeReport } from "./ledger/report.ts";
import { formatStatus } from "./ledger/status.ts";

interface ReportFlags {
  out?: string;
  check?: string;
  json?: true;
  quiet?: true;
}

async function readAsked(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new AppError(
      "source_missing",
      `--check '${path}': it cannot be read: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
}

async function runCheck(context: DataContext, flags: ReportFlags, secretKey: string): Promise<void> {
  const text = await readAsked(flags.check!);
  const check = await withPool(context, (pool) => compareReport(pool, text, secretKey));
  const { state, made_at, changed } = check;
  tell(
    context,
    flags.json,
    check,
    () =>
      `${state} report of ${made_at}: as it was written\n${
        changed.length === 0
          ? "the rows are those of then"
          : `rows were changed since in: ${changed.join(", ")} (work after the migration does that)`
      }`,
  );
}

async function runReport(context: DataContext, flags: ReportFlags): Promise<void> {
  const { SECRET_KEY } = parseConfig(readEnvironment(), "migrate");
  if (flags.check !== undefined) return await runCheck(context, flags, SECRET_KEY);
  const report = await withPool(context, async (pool) => {
    await requireSchema(pool);
    const progress = progressOf(flags);
    progress.begin("digesting rows", 0);
    const made = await makeReport(pool, { secretKey: SECRET_KEY, onRows: (rows) => progress.add(1, rows) });
    progress.end();
    return made;
  });
  if (flags.out !== undefined) await writeAsked("--out", flags.out, `${JSON.stringify(report, null, 2)}\n`);
  tell(context, flags.json, report, () =>
    [
      formatStatus(report.status),
      `SHA-256 ${report.sha256}`,
      report.signature ? "signed with SECRET_KEY" : "not signed: no SECRET_KEY is set",
      ...(flags.out === undefined
        ? ["write it for the archive with --out FILE"]
        : [`written to '${flags.out}'`]),
    ].join("\n"));
  if (report.status.verdict === "unbalanced") {
    throw new AppError("ledger_unbalanced", "reporting: the ledger does not add up, see the lines with ✗");
  }
}

/** Adds it to `data`. */
export function addReport(data: Command, context: DataContext): void {
  data.command("report")
    .description(
      "the manifest of the whole migration for the archive, signed with SECRET_KEY where it is set",
    )
    .option("--out <file>", "write the JSON there")
    .option("--check <file>", "check one that was kept: its SHA-256, its signature, and the rows of now")
    .option("--json", "one JSON object on stdout")
    .option("--quiet", "no progress on stderr")
    .addHelpText(
      "after",
      `
Sources with their fingerprints and runs, counts, digests of every range and table, quarantine, rules, repairs,
verifications, versions. Make it after the last verify, and keep it: --check says years later whether it is the same.`,
    )
    .action((flags: ReportFlags) => runReport(context, flags));
}
