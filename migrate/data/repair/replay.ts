/** Tries quarantined documents again: after a change of the rules, or once their parents turned up. */
import type postgres from "postgres";
import type { Pool } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { failpoint } from "../tools/failpoint.ts";
import { dropFence, insertNotes, type Notes, takeFence } from "../ledger/ledger.ts";
import type { Rejection, Row } from "../lens/draft.ts";
import type { Progress } from "../tools/progress.ts";
import { matches, type QuarantineFilter } from "../ledger/quarantine.ts";
import { readKept } from "../ledger/replay_kept.ts";
import {
  CastCache,
  findLegacyId,
  insertRow,
  insertRows,
  keyOfRow,
  readParents,
  recountTasks,
} from "../load/replay_rows.ts";
import { type Collection, collections, type RawDocument } from "../documents/source.ts";
import { formatTable } from "../ledger/status.ts";
import { take, type Taken } from "../lens/tables.ts";

export interface ReplayGroup {
  collection: string;
  /** Why they were in quarantine. */
  reason: string;
  path: string;
  documents: number;
  /** Those that have a row now, or would have. */
  loaded: number;
  /** Those whose row was there by then. */
  present: number;
  /** Those that stay, by the reason of today. */
  stay: Record<string, number>;
}

export interface ReplayResult {
  /** False for a trial: everything was done and taken back. */
  applied: boolean;
  documents: number;
  loaded: number;
  stay: number;
  groups: ReplayGroup[];
}

interface Kept {
  id: string;
  fingerprint: string;
  collection: Collection;
  range_number: number;
  position: number;
  reason: string;
  path: string;
  attempts: number;
  original: Uint8Array;
}

interface Move {
  fingerprint: string;
  collection: string;
  number: number;
  exact: number;
  adjusted: number;
  excluded: number;
}

/** A document that has a row by today's rules. */
interface Ready {
  kept: Kept;
  taken: Extract<Taken, { row: Row }>;
}

type Outcome = { loaded: true; row: Row; adjusted: boolean } | { present: true } | { stays: Rejection };

const isDouble = (reason: string) => reason.startsWith("duplicate_");

class Replay {
  readonly groups = new Map<string, ReplayGroup>();
  /** Tasks whose cells changed. */
  readonly touched = new Set<string>();
  parents = new Map<string, string>();
  readonly #casts = new CastCache();
  /** What moves in the ledger, by range. */
  readonly #moves = new Map<string, Move>();

  constructor(readonly sql: postgres.TransactionSql) {}

  async #insert(sql: postgres.TransactionSql, kept: Kept, taken: Taken): Promise<Outcome> {
    if ("rejected" in taken) return { stays: taken.rejected };
    const { row, adjustments } = taken;
    const { collection } = kept;
    if (await insertRow(sql, collection, row, this.#casts)) {
      return { loaded: true, row, adjusted: adjustments.length > 0 };
    }
    const there = await findLegacyId(sql, collection, row);
    // A double's own `_id` is in the table: that is why it is here.
    if (there === row.legacy_id && !isDouble(kept.reason)) return { present: true };
    const byEmail = there === undefined && collection === "users";
    return {
      stays: {
        reason: byEmail ? "duplicate_email" : "duplicate_id",
        path: byEmail ? "email" : "id",
        detail: there === undefined
          ? "a row of the target has its place"
          : `the row of ${there} has its place`,
      },
    };
  }

  async #try(kept: Kept, raw: RawDocument): Promise<{ outcome: Outcome; taken: Taken | undefined }> {
    try {
      const taken = take(kept.collection, raw, (name) => this.parents.get(name));
      return { outcome: await this.sql.savepoint((sql) => this.#insert(sql, kept, taken)), taken };
    } catch (error) {
      const { code, message } = error as Error & { code?: string };
      // A value or a constraint that the server refuses costs this document only.
      if (code !== undefined && !/^2[23]/.test(code)) throw error;
      const reason = code === undefined ? "unreadable" : "refused";
      return { outcome: { stays: { reason, path: "", detail: message } }, taken: undefined };
    }
  }

  async #record(kept: Kept, raw: RawDocument, taken: Taken, outcome: Outcome): Promise<void> {
    const { sql } = this;
    const { fingerprint, collection, range_number, position } = kept;
    const rowId = "loaded" in outcome ? outcome.row.id! : null;
    await sql`
      insert into migration.replays
        (fingerprint, collection, position, document_id, reason, path, attempts, row_id)
      values (${fingerprint}, ${collection}, ${position}, ${taken.id}, ${kept.reason}, ${kept.path},
        ${kept.attempts}, ${rowId})`;
    await sql`delete from migration.quarantine where id = ${kept.id}`;
    const adjusted = "adjustments" in taken && "loaded" in outcome ? taken.adjustments : [];
    const keep = "keepOriginal" in taken && "loaded" in outcome && taken.keepOriginal;
    const excluded = "present" in outcome;
    await this.#note(fingerprint, collection, range_number, {
      excluded: excluded ? [{ position, document_id: taken.id, rule: "already_present" }] : [],
      adjusted: adjusted.map(({ rule, path }) => ({ position, row_id: rowId!, rule, path })),
      originals: keep ? [{ position, row_id: rowId!, original: raw.original() }] : [],
    });
    const move = this.#moveOf(kept);
    move[excluded ? "excluded" : adjusted.length > 0 ? "adjusted" : "exact"]++;
  }

  #moveOf({ fingerprint, collection, range_number: number }: Kept): Move {
    const key = `${fingerprint}/${collection}/${number}`;
    const move = this.#moves.get(key) ??
      { fingerprint, collection, number, exact: 0, adjusted: 0, excluded: 0 };
    this.#moves.set(key, move);
    return move;
  }

  /** Moves the ledger's counts and the tasks' counters along. */
  async settle(): Promise<void> {
    for (const { fingerprint, collection, number, exact, adjusted, excluded } of this.#moves.values()) {
      await this.sql`
        update migration.ranges
        set quarantined = quarantined - ${exact + adjusted + excluded}::int, exact = exact + ${exact}::int,
          adjusted = adjusted + ${adjusted}::int, excluded = excluded + ${excluded}::int
        where fingerprint = ${fingerprint} and collection = ${collection} and number = ${number}`;
    }
    await recountTasks(this.sql, [...this.touched]);
  }

  #group({ collection, reason, path }: Kept): ReplayGroup {
    const key = `${collection} ${reason} ${path}`;
    const group = this.groups.get(key) ??
      { collection, reason, path, documents: 0, loaded: 0, present: 0, stay: {} };
    this.groups.set(key, group);
    return group;
  }

  /** Documents of one collection: in one statement what has room, each of the others by itself. */
  async documents(collection: Collection, part: Kept[]): Promise<void> {
    const bulk = collection === "tasks" ? new Map<string, Ready>() : this.#ready(collection, part);
    const into = bulk.size === 0 ? new Set<string>() : await this.#insertAll(collection as "users", bulk);
    failpoint("replay.inserted");
    const done = new Set<string>();
    const ready = [...into].map((key) => bulk.get(key)!);
    for (const { kept } of ready) done.add(kept.id);
    await this.#recordAll(collection, ready);
    failpoint("replay.recorded");
    for (const kept of part) if (!done.has(kept.id)) await this.document(kept);
  }

  #ready(collection: Collection, part: Kept[]): Map<string, Ready> {
    const bulk = new Map<string, Ready>();
    for (const kept of part) {
      const raw = readKept(kept.position, kept.original);
      try {
        const taken = take(collection, raw, (name) => this.parents.get(name));
        if ("rejected" in taken) continue;
        const key = keyOfRow(collection, taken.row);
        if (!bulk.has(key)) bulk.set(key, { kept, taken });
      } catch {
        // It says why when it is tried by itself.
      }
    }
    return bulk;
  }

  async #insertAll(collection: "users" | "dramatiq_tasks", bulk: Map<string, Ready>): Promise<Set<string>> {
    const rows = [...bulk.values()].map(({ taken }) => taken.row);
    try {
      return await this.sql.savepoint((sql) => insertRows(sql, collection, rows, this.#casts));
    } catch (error) {
      // One of them is refused: each is tried by itself.
      if (/^2[23]/.test((error as { code?: string }).code ?? "")) return new Set();
      throw error;
    }
  }

  async #recordAll(collection: Collection, ready: Ready[]): Promise<void> {
    if (ready.length === 0) return;
    const { sql } = this;
    const kept = ready.map((one) => one.kept);
    await sql`
      insert into migration.replays
        (fingerprint, collection, position, document_id, reason, path, attempts, row_id)
      select r.fingerprint, ${collection}, r.position, r.document_id, r.reason, r.path, r.attempts, r.row_id
      from unnest(
        ${kept.map((one) => one.fingerprint)}::text[], ${kept.map((one) => one.position)}::bigint[],
        ${ready.map(({ taken }) => taken.id)}::text[], ${kept.map((one) => one.reason)}::text[],
        ${kept.map((one) => one.path)}::text[], ${kept.map((one) => one.attempts)}::int[],
        ${ready.map(({ taken }) => taken.row.id!)}::uuid[]
      ) as r (fingerprint, position, document_id, reason, path, attempts, row_id)`;
    await sql`delete from migration.quarantine where id = any (${kept.map(({ id }) => id)}::bigint[])`;
    const byRange = Map.groupBy(ready, (one) => `${one.kept.fingerprint}/${one.kept.range_number}`);
    for (const some of byRange.values()) {
      const { fingerprint, range_number } = some[0]!.kept;
      await this.#note(fingerprint, collection, range_number, {
        excluded: [],
        adjusted: some.flatMap(({ kept: { position }, taken: { row, adjustments } }) =>
          adjustments.map(({ rule, path }) => ({ position, row_id: row.id!, rule, path }))
        ),
        originals: some.filter(({ taken }) => taken.keepOriginal).map(({ kept, taken }) => ({
          position: kept.position,
          row_id: taken.row.id!,
          original: kept.original,
        })),
      });
    }
    for (const { kept, taken: { row, adjustments } } of ready) {
      this.#moveOf(kept)[adjustments.length > 0 ? "adjusted" : "exact"]++;
      const group = this.#group(kept);
      group.documents++;
      group.loaded++;
      if (collection === "dramatiq_tasks") this.touched.add(row.parent_task_id!);
    }
  }

  async #note(
    fingerprint: string,
    collection: Collection,
    number: number,
    notes: Pick<Notes, "excluded" | "adjusted" | "originals">,
  ): Promise<void> {
    const range = { collection, number, lower: "", upper: "", firstPosition: 0, documents: 0, bytes: 0 };
    const tally = { exact: 0, adjusted: 0, quarantined: 0, excluded: 0 };
    await insertNotes(this.sql, fingerprint, range, { tally, quarantined: [], ...notes });
  }

  async document(kept: Kept): Promise<void> {
    const group = this.#group(kept);
    group.documents++;
    const raw = readKept(kept.position, kept.original);
    const { outcome, taken } = await this.#try(kept, raw);
    if ("stays" in outcome) {
      const { reason, path, detail } = outcome.stays;
      group.stay[reason] = (group.stay[reason] ?? 0) + 1;
      await this.sql`
        update migration.quarantine
        set attempts = attempts + 1, reason = ${reason}, path = ${toText(path)}, detail = ${toText(detail)}
        where id = ${kept.id}`;
      return;
    }
    await this.#record(kept, raw, taken!, outcome);
    if ("present" in outcome) return void group.present++;
    group.loaded++;
    const { row } = outcome;
    if (kept.collection === "dramatiq_tasks") this.touched.add(row.parent_task_id!);
  }
}

const toText = (text: string) => text.toWellFormed().replaceAll("\0", "\u2400");

async function replayAll(
  sql: postgres.TransactionSql,
  filter: QuarantineFilter,
  { progress, signal }: { progress: Progress; signal?: AbortSignal },
): Promise<Replay> {
  const replay = new Replay(sql);
  const [size] = await sql`
    select coalesce(sum(length(q.original)), 0)::float8 as bytes from migration.quarantine q
    where ${matches(sql, filter)}`;
  failpoint("replay.begun");
  progress.begin("replaying", size!.bytes);
  for (const collection of collections) {
    if (collection === "dramatiq_tasks") replay.parents = await readParents(sql);
    for (let after = "0";;) {
      const part = await sql<Kept[]>`
        select q.id::text as id, q.fingerprint, q.collection, q.range_number, q.position::float8 as position,
          q.reason, q.path, q.attempts, q.original
        from migration.quarantine q
        where q.collection = ${collection} and q.id > ${after}::bigint and ${matches(sql, filter)}
        order by q.id
        limit 500`;
      if (part.length === 0) break;
      if (signal?.aborted) {
        throw new AppError("interrupted", "replaying: stopped as asked; nothing was changed");
      }
      await replay.documents(collection, part);
      progress.add(part.reduce((sum, { original }) => sum + original.length, 0), part.length);
      after = part.at(-1)!.id;
    }
  }
  await replay.settle();
  failpoint("replay.settled");
  progress.end();
  return replay;
}

class Trial extends Error {}

/**
 * Tries quarantined documents again, all in one transaction; ledger and counters move with them.
 *
 * @param options.apply false does it all and takes it back, so what it says is what `apply` would do
 * @throws AppError busy (a load is under way), interrupted
 */
export async function replayQuarantine(
  pool: Pool,
  { apply, progress, signal, ...filter }: QuarantineFilter & {
    apply: boolean;
    progress: Progress;
    signal?: AbortSignal;
  },
): Promise<ReplayResult> {
  const fence = await pool.reserve();
  let replay: Replay | undefined;
  try {
    if (!await takeFence(fence)) {
      throw new AppError("busy", "replaying: another migrator works on this database; wait for it to end");
    }
    await pool.begin(async (sql) => {
      replay = await replayAll(sql, filter, { progress, ...(signal ? { signal } : {}) });
      if (!apply) throw new Trial();
    }).catch((error) => {
      if (!(error instanceof Trial)) throw error;
    });
    failpoint("replay.committed");
    await dropFence(fence);
  } finally {
    fence.release();
  }
  const groups = [...replay!.groups.values()];
  const sum = (of: (group: ReplayGroup) => number) => groups.reduce((all, group) => all + of(group), 0);
  const documents = sum((g) => g.documents);
  const loaded = sum((g) => g.loaded);
  return { applied: apply, documents, loaded, stay: documents - loaded - sum((g) => g.present), groups };
}

/** The result for people. */
export function formatReplay({ applied, documents, loaded, stay, groups }: ReplayResult): string {
  if (documents === 0) return "nothing in quarantine fits";
  const table = formatTable(
    [
      "collection",
      "was",
      "path",
      "documents",
      applied ? "got a row" : "would get a row",
      "was there",
      "stay as",
    ],
    groups.map((g) => [
      ...[g.collection, g.reason, g.path, g.documents, g.loaded, g.present],
      Object.entries(g.stay).map(([reason, count]) => `${reason} ${count.toLocaleString("en")}`).join(", "),
    ]),
  );
  const n = (count: number) => count.toLocaleString("en");
  const end = applied
    ? `${n(loaded)} of ${n(documents)} got a row, ${n(stay)} stay`
    : `${n(loaded)} of ${n(documents)} would get a row, ${n(stay)} would stay; nothing was changed: ` +
      "add --apply to do it";
  return `${table}\n\n${end}`;
}
