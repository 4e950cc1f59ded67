/** The signed report of a migration: sources, counts, digests, ledger entries, repairs and verifications. */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type postgres from "postgres";
import type { Pool, Sql } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { listApplied } from "../../schema/runner.ts";
import { copyOut } from "../tools/copy.ts";
import { type Collection, collections } from "../documents/source.ts";
import { readStatus, type Status } from "./status.ts";
import { tables } from "../lens/tables.ts";
import { listUnfinished } from "./unfinished.ts";

export const reportFormat = "contactsheet migration report 1";

/** The signed content of a report. */
export interface ReportBody {
  format: typeof reportFormat;
  made_at: string;
  versions: { postgresql: string; deno: string; schema: { number: number; name: string; hash: string }[] };
  status: Status;
  sources: SourceReport[];
  /** Imported rows of each table: their number and the SHA-256 of their COPY text, ordered by key. */
  tables: { name: string; rows: number; sha256: string }[];
  quarantine: { collection: string; reason: string; path: string; documents: number; sha256: string }[];
  adjustments: { collection: string; rule: string; path: string; documents: number }[];
  exclusions: { collection: string; rule: string; documents: number }[];
  originals: number;
  replays: number;
  repairs: { plan: string; at: string; steps: number; undone: number }[];
  verifications: {
    at: string;
    fingerprint: string;
    verdict: string | null;
    documents: number;
    differences: number;
  }[];
  unfinished: { group: string; tasks: number; cells: number }[];
}

interface SourceReport {
  fingerprint: string;
  kind: string;
  location: string;
  planned_at: string;
  settled_at: string | null;
  /** SHA-256 of the digests of the source's ranges, in load order. */
  sha256: string;
  runs: { state: string; started_at: string; ended_at: string | null; note: string | null }[];
}

export interface Report extends ReportBody {
  /** SHA-256 of the JSON text of the report without `sha256` and `signature`. */
  sha256: string;
  signature: { algorithm: "HMAC-SHA256"; key: "SECRET_KEY"; value: string } | null;
}

/** Returns a `timestamptz` column as ISO 8601 text. */
const isoTime = (sql: Sql, column: string) => sql`to_char(${sql(column)}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

function digestRanges(ranges: postgres.Row[]): string {
  const hash = createHash("sha256");
  for (const { collection, number, digest } of ranges) hash.update(`${collection} ${number} ${digest}\n`);
  return hash.digest("hex");
}

async function listSources(sql: Sql): Promise<SourceReport[]> {
  const plannedAt = isoTime(sql, "planned_at");
  const settledAt = isoTime(sql, "settled_at");
  const startedAt = isoTime(sql, "started_at");
  const endedAt = isoTime(sql, "ended_at");
  const sources = await sql`
    select fingerprint, kind, location, ${plannedAt} as planned_at, ${settledAt} as settled_at
    from migration.sources
    order by sources.planned_at, fingerprint`;
  const runs = await sql`
    select fingerprint, state, ${startedAt} as started_at, ${endedAt} as ended_at, note
    from migration.runs
    order by id`;
  const ranges = await sql`
    select fingerprint, collection, number, digest
    from migration.ranges
    order by array_position('{users,tasks,dramatiq_tasks}'::text[], collection), number`;
  return sources.map(({ fingerprint, kind, location, planned_at, settled_at }): SourceReport => ({
    fingerprint,
    kind,
    location,
    planned_at,
    settled_at,
    sha256: digestRanges(ranges.filter((range) => range.fingerprint === fingerprint)),
    runs: runs.filter((run) => run.fingerprint === fingerprint)
      .map(({ state, started_at, ended_at, note }) => ({ state, started_at, ended_at, note })),
  }));
}

async function digestTable(pool: Pool, collection: Collection, onRows: (rows: number) => void) {
  const { name, columns, keyColumns } = tables[collection];
  const hash = createHash("sha256");
  let rows = 0;
  const sql = await pool.reserve();
  try {
    const statement =
      `copy (select ${columns.join()} from ${name} where generation is not null order by ${keyColumns.join()}) to stdout`;
    for await (const line of copyOut(sql, statement)) {
      hash.update(line).update("\n");
      if (++rows % 10_000 === 0) onRows(10_000);
    }
  } finally {
    sql.release();
  }
  return { name, rows, sha256: hash.digest("hex") };
}

async function listQuarantine(sql: Sql): Promise<ReportBody["quarantine"]> {
  return [
    ...await sql<ReportBody["quarantine"]>`
      select collection, reason, path, count(*)::float8 as documents,
        encode(sha256(string_agg(sha256(original), ''::bytea order by fingerprint, position)), 'hex') as sha256
      from migration.quarantine
      group by collection, reason, path
      order by collection, reason, path`,
  ];
}

async function readEntries(sql: Sql) {
  const adjustments = await sql<ReportBody["adjustments"]>`
    select collection, rule, path, count(distinct (fingerprint, coalesce(document_id, position::text)))::float8 as documents
    from migration.adjustments
    group by collection, rule, path
    order by collection, rule, path`;
  const exclusions = await sql<ReportBody["exclusions"]>`
    select collection, rule, count(*)::float8 as documents
    from migration.exclusions
    group by collection, rule
    order by collection, rule`;
  const repairs = await sql<ReportBody["repairs"]>`
    select plan, to_char(min(at), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, count(*)::float8 as steps,
      count(undone_at)::float8 as undone
    from migration.repairs
    group by plan
    order by min(id)`;
  const verifications = await sql<ReportBody["verifications"]>`
    select ${isoTime(sql, "started_at")} as at, fingerprint, verdict, documents::float8 as documents,
      differences::float8 as differences
    from migration.verifications
    where ended_at is not null
    order by id`;
  const [counts] = await sql`
    select (select count(*) from migration.originals)::float8 as originals,
      (select count(*) from migration.replays)::float8 as replays`;
  return {
    adjustments: [...adjustments],
    exclusions: [...exclusions],
    repairs: [...repairs],
    verifications: [...verifications],
    originals: counts!.originals as number,
    replays: counts!.replays as number,
  };
}

const digest = (text: string) => createHash("sha256").update(text).digest("hex");
const sign = (text: string, key: string) => createHmac("sha256", key).update(text).digest("hex");

/**
 * Returns the report of the migration.
 *
 * @param secretKey key of the signature; an empty key leaves the report unsigned
 */
export async function makeReport(
  pool: Pool,
  { secretKey, onRows = () => {} }: { secretKey: string; onRows?: (rows: number) => void },
): Promise<Report> {
  const [server] = await pool`select current_setting('server_version') as version`;
  const tableDigests: ReportBody["tables"] = [];
  for (const collection of collections) tableDigests.push(await digestTable(pool, collection, onRows));
  const body: ReportBody = {
    format: reportFormat,
    made_at: new Date().toISOString(),
    versions: {
      postgresql: server!.version,
      deno: Deno.version.deno,
      schema: (await listApplied(pool)).map(({ number, name, hash }) => ({ number, name, hash })),
    },
    status: await readStatus(pool),
    sources: await listSources(pool),
    tables: tableDigests,
    quarantine: await listQuarantine(pool),
    ...await readEntries(pool),
    unfinished: await listUnfinished(pool),
  };
  const text = JSON.stringify(body);
  const signature = {
    algorithm: "HMAC-SHA256",
    key: "SECRET_KEY",
    value: sign(text, secretKey),
  } as const;
  return { ...body, sha256: digest(text), signature: secretKey === "" ? null : signature };
}

export interface ReportCheck {
  /** `signed`: the signature is valid. `unsigned`: only the SHA-256 was checked. */
  state: "signed" | "unsigned";
  made_at: string;
  /** Tables whose imported rows have changed since the report was written. */
  changed: string[];
}

/** Compares two signatures in constant time. */
function isSameSignature(a: string, b: string): boolean {
  const left = new TextEncoder().encode(a);
  const right = new TextEncoder().encode(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/**
 * Checks the format, the SHA-256 and the signature of a report.
 *
 * @throws AppError not_a_dump; conflict when the report was changed or signed with another key; usage when a
 * signed report is checked without a key
 */
export function checkReport(
  text: string,
  secretKey: string,
): Omit<ReportCheck, "changed"> & { body: ReportBody } {
  let report: Report;
  try {
    report = JSON.parse(text);
  } catch (cause) {
    throw new AppError("not_a_dump", "checking the report: it is not JSON", { cause });
  }
  const { sha256, signature, ...body } = report;
  if (body.format !== reportFormat) {
    throw new AppError(
      "not_a_dump",
      `checking the report: wanted format '${reportFormat}', found '${body.format}'`,
    );
  }
  const signed = JSON.stringify(body);
  if (digest(signed) !== sha256) {
    throw new AppError(
      "conflict",
      "checking the report: its content does not match its SHA-256; the report was changed",
    );
  }
  if (!signature) return { state: "unsigned", made_at: body.made_at, body };
  if (secretKey === "") {
    throw new AppError(
      "usage",
      "checking the report: it is signed; set SECRET_KEY to the key that signed it",
    );
  }
  if (!isSameSignature(signature.value, sign(signed, secretKey))) {
    throw new AppError(
      "conflict",
      "checking the report: the signature does not match this SECRET_KEY; the key or the signature is wrong",
    );
  }
  return { state: "signed", made_at: body.made_at, body };
}

/**
 * Checks a report and compares its table digests with the current rows.
 *
 * @throws AppError as {@linkcode checkReport}
 */
export async function compareReport(pool: Pool, text: string, secretKey: string): Promise<ReportCheck> {
  const { body, ...check } = checkReport(text, secretKey);
  const changed: string[] = [];
  for (const collection of collections) {
    const now = await digestTable(pool, collection, () => {});
    const then = body.tables.find(({ name }) => name === now.name);
    if (then?.sha256 !== now.sha256) changed.push(now.name);
  }
  return { ...check, changed };
}
