/** What would make source and target the same again, before anything is touched. */
import { createHash } from "node:crypto";
import type postgres from "postgres";
import type { Pool } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { copyOut, encodeLine } from "../tools/copy.ts";
import { failpoint } from "../tools/failpoint.ts";
import { listRanges } from "../ledger/ledger.ts";
import { rangeBytesDefault } from "../load/load.ts";
import type { Mismatch } from "../verify/mismatch.ts";
import { makePlan } from "../load/plan.ts";
import type { Progress } from "../tools/progress.ts";
import { readParents } from "../load/replay_rows.ts";
import { type Collection, collections, type RawDocument, type Source } from "../documents/source.ts";
import { showId, tables, take } from "../lens/tables.ts";
import { verify } from "../verify/verify.ts";

/** One change. Rows are COPY text of the lens's columns (for `original`: bytes in base64). */
export interface Step {
  action: "insert" | "update" | "delete" | "original";
  collection: Collection;
  document_id: string;
  /** Fields that differ, as verify names them. */
  paths: string[];
  row_id: string | null;
  parent_id: string | null;
  before: string | null;
  after: string | null;
  /** The row's version that was seen (`xmin`); null where there is no row. */
  version: string | null;
}

/** A difference that is not repaired, and why. */
export interface LeftAlone {
  collection: string;
  document_id: string;
  kind: Mismatch["kind"];
  why: string;
}

export interface RepairPlan {
  /** Names the plan: the same differences give the same name. */
  plan: string;
  fingerprint: string;
  differences: number;
  /** Parents first. */
  steps: Step[];
  left: LeftAlone[];
  /** Differences past the first thousand: they come in the next plan. */
  more: number;
}

export interface PlanOptions {
  progress: Progress;
  signal?: AbortSignal;
  /** Rows that no document has are deleted. */
  deleteExtra?: boolean;
  /** Rows that the new system changed since the load get the document's content again. */
  overNew?: boolean;
}

/** A row as it stands. */
export interface Standing {
  line: string;
  version: string;
  /** Changed after the load was settled. */
  isNew: boolean;
}

const isNewSql =
  "coalesce(t.updated_at > (select min(settled_at) from migration.sources) and t.updated_at <= now(), false)";

/** Reads a row by its key; ids are uuids. */
export async function readStanding(
  sql: postgres.ISql,
  collection: Collection,
  { row_id, parent_id }: Pick<Step, "row_id" | "parent_id">,
): Promise<Standing | undefined> {
  const { name, columns } = tables[collection];
  const parent = parent_id === null ? "" : ` and t.parent_task_id = '${parent_id}'`;
  const list = columns.map((column) => `t.${column}`).join();
  const statement =
    `copy (select t.xmin, ${isNewSql}, ${list} from ${name} t where t.id = '${row_id}'${parent}) to stdout`;
  let standing: Standing | undefined;
  for await (const text of copyOut(sql, statement)) {
    const [version, isNew] = text.split("\t", 2) as [string, string];
    standing = { version, isNew: isNew === "t", line: text.slice(version.length + isNew.length + 2) };
  }
  return standing;
}

class Planner {
  readonly steps: Step[] = [];
  readonly left: LeftAlone[] = [];

  constructor(
    readonly sql: postgres.ReservedSql,
    readonly options: PlanOptions,
    readonly findParent: (name: string) => string | undefined,
  ) {}

  leave({ collection, document_id, kind }: Mismatch, why: string): void {
    this.left.push({ collection, document_id, kind, why });
  }

  async document(collection: Collection, raw: RawDocument, found: Mismatch[]): Promise<void> {
    const { sql } = this;
    const [first] = found as [Mismatch];
    const common = { collection, document_id: first.document_id, paths: found.map(({ path }) => path) };
    const taken = take(collection, raw, this.findParent);
    if ("rejected" in taken) return this.leave(first, `the rules reject it: ${taken.rejected.reason}`);
    const { row } = taken;
    const key = {
      row_id: row.id!,
      parent_id: collection === "dramatiq_tasks" ? row.parent_task_id! : null,
    };
    const after = encodeLine(tables[collection].columns.map((column) => row[column]!));
    const standing = await readStanding(sql, collection, key);
    if (!standing) {
      this.steps.push({ ...common, ...key, action: "insert", before: null, after, version: null });
    } else if (standing.line !== after) {
      if (standing.isNew && !this.options.overNew) {
        return this.leave(
          first,
          "the new system changed it after the load; --over-new puts the document back",
        );
      }
      const { line: before, version } = standing;
      this.steps.push({ ...common, ...key, action: "update", before, after, version });
    }
  }

  async quarantined(collection: Collection, raw: RawDocument, fingerprint: string): Promise<void> {
    const [kept] = await this.sql`
      select q.xmin::text as version, q.document_id, encode(q.original, 'base64') as before
      from migration.quarantine q
      where q.fingerprint = ${fingerprint} and q.collection = ${collection} and q.position = ${raw.position}`;
    if (!kept) return;
    this.steps.push({
      action: "original",
      collection,
      document_id: kept.document_id,
      paths: [`position ${raw.position}`],
      row_id: null,
      parent_id: null,
      version: kept.version,
      before: kept.before.replaceAll("\n", ""),
      after: raw.original().toBase64(),
    });
  }

  async extra(mismatch: Mismatch): Promise<void> {
    const id = /row ([0-9a-f-]{36})$/.exec(mismatch.row_value ?? "")?.[1];
    if (id === undefined) {
      return this.leave(mismatch, "other sources filled this table, too: which row is unsure");
    }
    if (!this.options.deleteExtra) {
      return this.leave(mismatch, "no document has it; --delete-extra removes it");
    }
    const collection = mismatch.collection as Collection;
    const { name } = tables[collection];
    const rows = await this.sql.unsafe(
      `select t.xmin::text as version, row_to_json(t)::text as before,
        ${collection === "dramatiq_tasks" ? "t.parent_task_id::text" : "null"} as parent_id
      from ${name} t where t.id = $1`,
      [id],
    );
    for (const { version, before, parent_id } of rows) {
      const { document_id } = mismatch;
      this.steps.push({
        action: "delete",
        collection,
        document_id,
        paths: [],
        row_id: id,
        parent_id,
        before,
        version,
        after: null,
      });
    }
  }
}

/** Mismatches by what they are about; kept ones by position. */
function sortOut(mismatches: Mismatch[]) {
  const rows = new Map<string, Mismatch[]>();
  const kept = new Map<string, Mismatch>();
  const extra: Mismatch[] = [];
  const beside: Mismatch[] = [];
  for (const mismatch of mismatches) {
    const { collection, document_id, kind } = mismatch;
    if (kind === "extra_row") extra.push(mismatch);
    else if (kind === "ledger_changed" || kind === "derived_changed") beside.push(mismatch);
    else if (kind === "quarantine_changed" && document_id.startsWith("position ")) {
      kept.set(`${collection}/${document_id}`, mismatch);
    } else {
      const key = `${collection}/${document_id}`;
      rows.set(key, [...rows.get(key) ?? [], mismatch]);
    }
  }
  return { rows, kept, extra, beside };
}

function idOf(raw: RawDocument): string {
  try {
    return showId(raw.read());
  } catch {
    return "(unread)";
  }
}

async function planSteps(
  sql: postgres.ReservedSql,
  source: Source,
  mismatches: Mismatch[],
  options: PlanOptions,
): Promise<Planner> {
  const { progress, signal } = options;
  const { rows, kept, extra, beside } = sortOut(mismatches);
  progress.begin("looking up documents", source.bytes);
  const plan = await makePlan(source, { rangeBytes: rangeBytesDefault });
  const loaded = await readParents(sql);
  const planner = new Planner(sql, options, (name) => plan.parents.get(name) ?? loaded.get(name));
  const ranges = await listRanges(sql, plan.fingerprint, { planned: false });
  for (const range of ranges) {
    if (signal?.aborted) throw new AppError("interrupted", "planning the repair: stopped as asked");
    for (const raw of await source.read(range)) {
      const { collection } = range;
      const changed = kept.get(`${collection}/position ${raw.position}`);
      if (changed) await planner.quarantined(collection, raw, plan.fingerprint);
      else if (rows.size > 0) {
        const key = `${collection}/${idOf(raw)}`;
        const found = rows.get(key);
        // A double's `_id` comes again: the first is the one that was loaded.
        if (!found) continue;
        rows.delete(key);
        await planner.document(collection, raw, found);
      }
    }
    progress.add(range.bytes, range.documents);
  }
  for (const [first] of rows.values()) planner.leave(first!, "the source has no such document");
  for (const mismatch of extra) await planner.extra(mismatch);
  for (const mismatch of beside) {
    planner.leave(
      mismatch,
      mismatch.kind === "ledger_changed"
        ? "the ledger's own note: restore a backup, it cannot be told from the rows"
        : "no document says it: 'deno task worker:doctor' looks after counters",
    );
  }
  progress.end();
  return planner;
}

/**
 * Verifies, and plans what each difference wants; nothing but the verification's result is written.
 *
 * @throws what verify() throws; AppError not_found for a source that was not loaded
 */
export async function planRepair(pool: Pool, source: Source, options: PlanOptions): Promise<RepairPlan> {
  const { progress, signal } = options;
  const { fingerprint, differences, mismatches } = await verify(pool, source, {
    progress,
    // What was compared before an interruption may be long past: a plan is of now.
    again: true,
    ...(signal ? { signal } : {}),
  });
  const sql = await pool.reserve();
  try {
    const [known] = await sql`select from migration.sources where fingerprint = ${fingerprint}`;
    if (!known) {
      throw new AppError(
        "not_found",
        "planning a repair: this source was not loaded here; run 'data load' first",
      );
    }
    const { steps, left } = differences === 0
      ? { steps: [], left: [] }
      : await planSteps(sql, source, mismatches, options);
    const order = ({ collection }: Step) => collections.indexOf(collection);
    steps.sort((a, b) => order(a) - order(b));
    const hash = createHash("sha256");
    for (const { action, collection, row_id, before, after } of steps) {
      hash.update(`${JSON.stringify([action, collection, row_id, before, after])}\n`);
    }
    const plan = hash.digest("hex").slice(0, 12);
    failpoint("repair.planned");
    return { plan, fingerprint, differences, steps, left, more: differences - mismatches.length };
  } finally {
    sql.release();
  }
}
