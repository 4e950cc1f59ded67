/** Compares every document of a source with its row, in full, through the lens. */
import type postgres from "postgres";
import type { Pool } from "../../db/connect.ts";
import { AppError } from "../../errors.ts";
import { requireSchema } from "../schema/runner.ts";
import { failpoint } from "./failpoint.ts";
import { findSource, listRanges, storable } from "./ledger.ts";
import { rangeBytesDefault } from "./load.ts";
import type { Mismatch } from "./mismatch.ts";
import { makePlan } from "./plan.ts";
import type { Progress } from "./progress.ts";
import { readParents } from "./replay_rows.ts";
import type { Source } from "./source.ts";
import { findWrongCounters, findWrongOwners, findWrongSums } from "./verify_derived.ts";
import { findExtraRows } from "./verify_extra.ts";
import { type Verdict, Verifier } from "./verify_range.ts";

export type { Verdict } from "./verify_range.ts";

async function record(sql: postgres.ReservedSql, verdict: Verdict, startedAt: Date): Promise<void> {
  const { fingerprint, documents, rows, differences, mismatches } = verdict;
  await sql`begin`;
  const [made] = await sql`
    insert into migration.verifications (fingerprint, started_at, ended_at, documents, rows, differences, verdict)
    values (${fingerprint}, ${startedAt}, now(), ${documents}, ${rows}, ${differences}, ${verdict.verdict})
    returning id`;
  failpoint("verify.inserted");
  await sql`
    insert into migration.differences (verification_id, collection, document_id, kind, path, source_value, row_value)
    select ${made!.id}, d.collection, d.document_id, d.kind, d.path, d.source_value, d.row_value
    from unnest(
      ${mismatches.map((m) => m.collection)}::text[], ${
    mismatches.map((m) => storable(m.document_id))
  }::text[],
      ${mismatches.map((m) => m.kind)}::text[], ${mismatches.map((m) => storable(m.path))}::text[],
      ${mismatches.map((m) => m.source_value && storable(m.source_value))}::text[],
      ${mismatches.map((m) => m.row_value && storable(m.row_value))}::text[]
    ) as d (collection, document_id, kind, path, source_value, row_value)`;
  failpoint("verify.before_commit");
  await sql`commit`;
  failpoint("verify.committed");
}

/**
 * Verifies a source against the database; nothing but the result is written.
 *
 * @throws AppError not_found where nothing was loaded yet; schema_mismatch, interrupted
 */
export async function verify(
  pool: Pool,
  source: Source,
  { progress, signal }: { progress: Progress; signal?: AbortSignal },
): Promise<Verdict> {
  await requireSchema(pool);
  const startedAt = new Date();
  progress.begin("checking the source", source.bytes);
  const plan = await makePlan(source, {
    rangeBytes: rangeBytesDefault,
    onBytes: (bytes) => progress.add(bytes, 0),
  });
  failpoint("verify.planned");
  const sql = await pool.reserve();
  try {
    const known = await findSource(sql, plan.fingerprint);
    if (known && !known.settled) {
      throw new AppError(
        "not_found",
        "verifying: the load of this source is not finished; run 'data load' again",
      );
    }
    // Subtasks may hang on tasks that another source brought.
    const others = known ? await readParents(sql) : new Map<string, string>();
    const findParent = (name: string) => plan.parents.get(name) ?? others.get(name);
    const verifier = new Verifier(sql, plan, { isLoaded: known !== undefined, findParent });
    const ranges = known ? await listRanges(sql, plan.fingerprint, { planned: false }) : plan.ranges;
    const note = (mismatch: Mismatch) => verifier.note(mismatch);
    progress.begin("verifying", source.bytes);
    await verifier.run(source, ranges, { progress, signal });
    progress.end();
    failpoint("verify.extra_begun");
    await findExtraRows(sql, source, {
      fingerprint: plan.fingerprint,
      ranges,
      rowsOf: verifier.rowsOf,
      findParent,
      note,
    });
    if (known) {
      await findWrongSums(sql, plan.fingerprint, note);
      await findWrongOwners(sql, note);
      // A subtask that differs may well be counted otherwise: that is told already.
      const differ = verifier.verdict.mismatches.some(({ collection }) => collection === "dramatiq_tasks");
      if (!differ) await findWrongCounters(sql, note);
    }
    if (known) await record(sql, verifier.verdict, startedAt);
    return verifier.verdict;
  } finally {
    progress.end();
    sql.release();
  }
}
