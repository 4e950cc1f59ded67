/** The stages before any traffic: assess, backup, schema, sync, verify. */
import { AppError } from "../../../errors.ts";
import { assessSource } from "../assess/source.ts";
import { formatAssessment, verdictCodes } from "../assess/verdict.ts";
import { backup, formatBackup } from "../backup/backup.ts";
import { saveAcceptances, saveBackup, saveDecision } from "../cutover/decisions.ts";
import { openSnapshot } from "../sources/open.ts";
import { collections } from "../documents/source.ts";
import { openProgress, type Progress, silentProgress } from "../tools/progress.ts";
import { formatCount, formatCounted } from "../tools/format.ts";
import { verifyLive } from "../verify/live.ts";
import { formatLiveVerdict } from "../verify/live_result.ts";
import { listApplied, migrateUp } from "../../schema/runner.ts";
import type { Assessed, MoveContext } from "./context.ts";
import { assessedName, type Facts } from "./facts.ts";
import { testRestore } from "./trial_restore.ts";
import { firstCauses, listOpen, stageChecks } from "./stages.ts";
import { gateChecks, waitUntil } from "./waiting.ts";

/** Runs `work` with a progress display, which ends with it, also after an error. */
async function withProgress<T>(
  { dialogue }: MoveContext,
  work: (progress: Progress) => Promise<T>,
): Promise<T> {
  const progress = dialogue.options.quiet ? silentProgress : openProgress();
  try {
    return await work(progress);
  } finally {
    progress.end();
  }
}

async function saveAssessed({ switching: { pool, by } }: MoveContext, assessed: Assessed): Promise<void> {
  await saveDecision(pool, assessedName, Object.assign({ accepted: true }, assessed), by);
}

/** Reads the whole source and judges it. A verdict of WAIT is for a person to accept. */
export async function runAssess(context: MoveContext, { target }: Facts): Promise<void> {
  const { from, dialogue, options, switching: { source, signal } } = context;
  const { assessment, verdict: judged } = await withProgress(
    context,
    (progress) => assessSource(from, { progress, signal }),
  );
  dialogue.say(formatAssessment(assessment, judged));
  const { verdict, reasons } = judged;
  const documents = assessment.collections.reduce((sum, one) => sum + one.documents, 0);
  if (verdict === "NO-GO") {
    throw new AppError("assessed_no_go", `move: the assessment says NO-GO: ${reasons[0]!.text}`);
  }
  if (verdict === "WAIT" && !options.accept.includes("assessment")) {
    if (dialogue.isScript) {
      const waits = reasons.filter(({ level }) => level === "wait").map(({ text }) => `  ${text}`);
      throw new AppError(
        verdictCodes.WAIT,
        `move: somebody must decide about the assessment, or add --accept assessment:\n${waits.join("\n")}`,
      );
    }
    const answer = await dialogue.ask("Go on in spite of the reasons marked '!'?", { n: "no", y: "yes" });
    if (answer === "n") {
      throw new AppError(verdictCodes.WAIT, "move: the reasons marked '!' are not accepted");
    }
  }
  context.assessed = { verdict, documents, identity: source.identity };
  if (target !== undefined) await saveAssessed(context, context.assessed);
}

/** Saves the tables and the original documents, and restores them once as a test. */
export async function runBackup(context: MoveContext, { target }: Facts): Promise<void> {
  const { from, dialogue, settings, options, switching: { pool, by, signal } } = context;
  const [missing] = listOpen(target!.checks, ["backup_taken", "backup_recent"]);
  let folder = target!.decisions.find(({ name }) => name === "backup")?.value.folder as string | undefined;
  if (missing !== undefined || folder === undefined) {
    const time = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
    folder = settings.backupTo ?? `contactsheet-backup-${time}`;
    await using source = await openSnapshot(from);
    const manifest = await withProgress(
      context,
      (progress) => backup(pool, folder!, { progress, signal, source }),
    );
    await saveBackup(pool, folder, by);
    dialogue.say(formatBackup(folder, manifest));
  }
  if (!options.accept.includes("backup_restored")) {
    const fault = await testRestore(pool, context.switching.config.DATABASE_URL, folder);
    if (fault === undefined) {
      await saveAcceptances(context.switching, ["backup_restored"]);
      dialogue.say(
        "restored as a test into a database of its own, which was dropped again: every row is there",
      );
    } else dialogue.note(`the backup was not restored as a test: ${fault}`);
  }
  await waitUntil(context, "backup", { checks: gateChecks(stageChecks.backup) });
}

/** @throws AppError conflict when the database belongs to something else */
async function requireOwnDatabase({ switching: { pool } }: MoveContext): Promise<void> {
  if ((await listApplied(pool)).length > 0) return;
  const tables = await pool<{ name: string }[]>`
    select schemaname || '.' || tablename as name from pg_tables
    where schemaname not in ('pg_catalog', 'information_schema') and schemaname || '.' || tablename <> 'migration.schema_steps'
    order by 1
    limit 3`;
  if (tables.length === 0) return;
  throw new AppError(
    "conflict",
    `move: the database of DATABASE_URL has tables of something else (${
      tables.map(({ name }) => name).join(", ")
    }); wanted an empty database`,
  );
}

/** Creates the tables. */
export async function runSchema(context: MoveContext): Promise<void> {
  const { dialogue, switching: { pool } } = context;
  await requireOwnDatabase(context);
  await migrateUp(pool, { onStep: (name) => dialogue.say(`applied ${name}`) });
  if (context.assessed !== undefined) await saveAssessed(context, context.assessed);
}

/** Waits until a sync has copied everything and follows. */
export async function runSync(context: MoveContext): Promise<void> {
  const { switching: { source: { db } } } = context;
  const counts = await Promise.all(collections.map((name) => db.collection(name).estimatedDocumentCount()));
  const total = counts.reduce((sum, count) => sum + count, 0);
  await waitUntil(context, "sync", {
    checks: (target) => firstCauses(listOpen(target.checks, stageChecks.sync)),
    measure: ({ copied, following }) => {
      if (following?.state !== "copying") return { isDone: true, text: following?.state ?? "not begun" };
      const done = Math.min(copied, total);
      const text = `copied ${formatCount(done)} of ${formatCounted(total, "document")}`;
      return { isDone: false, text, done, total };
    },
  });
}

/** Compares every document with its row, and asks about documents without a row. */
export async function runVerify(context: MoveContext, { target }: Facts): Promise<void> {
  const { dialogue, switching: { pool, source, signal } } = context;
  const names = stageChecks.verify.filter((name) => name.startsWith("verified"));
  if (listOpen(target!.checks, names).length > 0) {
    const again = target!.checks.get("verified_equal")?.state !== "ready";
    const verdict = await withProgress(
      context,
      (progress) => verifyLive(pool, source, { progress, signal, again }),
    );
    dialogue.say(formatLiveVerdict(verdict));
    if (verdict.differences > 0) {
      throw new AppError(
        "differences_found",
        "move: the verification found differences; see 'deno task migrate data why ID', mend them, and go on",
      );
    }
  }
  await waitUntil(context, "verify", { checks: gateChecks(stageChecks.verify) });
}
