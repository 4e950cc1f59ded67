/** The manifest of a migration for the archive: what came from where, what became of it, who checked; signed. */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Pool, Sql } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { listApplied } from "../../schema/runner.ts";
import { copyOut } from "../tools/copy.ts";
import { type Collection, collections } from "../documents/source.ts";
import { readStatus, type Status } from "./status.ts";
import { tables } from "../lens/tables.ts";
import { listUnfinished } from "./unfinished.ts";

export const reportFormat = "contactsheet migration report 1";

/** What is signed. */
export interface ReportBody {
  format: typeof reportFormat;
  made_at: string;
  versions: { postgresql: string; deno: string; schema: { number: number; name: string; hash: string }[] };
  status: Status;
  sources: SourceReport[];
  /** Rows of documents in the target now: how many, and SHA-256 of their COPY text by key. */
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
  /** SHA-256 over the digests of its ranges, in load order. */
  sha256: string;
  runs: { state: string; started_at: string; ended_at: string | null; note: string | null }[];
}

export interface Report extends ReportBody {
  /** Of the report without `sha256` and `signature`, in the order and form in which it is written. */
  sha256: string;
  signature: { algorithm: "HMAC-SHA256"; key: "SECRET_KEY"; value: string } | null;
}

const stamp = (sql: Sql, column: string) => sql`to_char(${sql(column)}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

async function listSources(sql: Sql): Promise<SourceReport[]> {
  const sources = await sql`
    select fingerprint, kind, location, ${stamp(sql, "planned_at")} as planned_at,
      ${stamp(sql, "settled_at")} as settled_at
    from migration.sources
    order by sources.planned_at, fingerprint`;
  const runs = await sql`
    select fingerprint, state, ${stamp(sql, "started_at")} as started_at, ${
    stamp(sql, "ended_at")
  } as ended_at, note
    from migration.runs
    order by id`;
  const ranges = await sql`
    select fingerprint, collection, number, digest
    from migration.ranges
    order by array_position('{users,tasks,dramatiq_tasks}'::text[], collection), number`;
  return sources.map((source): SourceReport => {
    const hash = createHash("sha256");
    for (const { fingerprint, collection, number, digest } of ranges) {
      if (fingerprint === source.fingerprint) hash.update(`${collection} ${number} ${digest}\n`);
    }
    const { fingerprint, kind, location, planned_at, settled_at } = source;
    return {
      fingerprint,
      kind,
      location,
      planned_at,
      settled_at,
      sha256: hash.digest("hex"),
      runs: runs.filter((run) => run.fingerprint === fingerprint)
        .map(({ state, started_at, ended_at, note }) => ({ state, started_at, ended_at, note })),
    };
  });
}

async function digestTable(pool: Pool, collection: Collection, onRows: (rows: number) => void) {
  const { name, columns } = tables[collection];
  const key = collection === "dramatiq_tasks" ? "parent_task_id, id" : "id";
  const hash = createHash("sha256");
  let rows = 0;
  const sql = await pool.reserve();
  try {
    const statement =
      `copy (select ${columns.join()} from ${name} where generation is not null order by ${key}) to stdout`;
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

async function readNotes(sql: Sql) {
  const adjustments = await sql<ReportBody["adjustments"]>`
    select collection, rule, path, count(distinct (fingerprint, position))::float8 as documents
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
    select ${stamp(sql, "started_at")} as at, fingerprint, verdict, documents::float8 as documents,
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

const textOf = (body: ReportBody) => JSON.stringify(body);
const sign = (text: string, key: string) => createHmac("sha256", key).update(text).digest("hex");

/**
 * Makes the report.
 *
 * @param secretKey signs it; empty leaves it unsigned
 */
export async function makeReport(
  pool: Pool,
  { secretKey, onRows = () => {} }: { secretKey: string; onRows?: (rows: number) => void },
): Promise<Report> {
  const [server] = await pool`select current_setting('server_version') as version`;
  const digested: ReportBody["tables"] = [];
  for (const collection of collections) digested.push(await digestTable(pool, collection, onRows));
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
    tables: digested,
    quarantine: await listQuarantine(pool),
    ...await readNotes(pool),
    unfinished: await listUnfinished(pool),
  };
  const text = textOf(body);
  return {
    ...body,
    sha256: createHash("sha256").update(text).digest("hex"),
    signature: secretKey === "" ? null : {
      algorithm: "HMAC-SHA256",
      key: "SECRET_KEY",
      value: sign(text, secretKey),
    },
  };
}

export interface ReportCheck {
  /** `signed` by this key, or `unsigned` and only whole by its SHA-256. */
  state: "signed" | "unsigned";
  made_at: string;
  /** Tables whose rows are others now than then; empty where nobody changed anything. */
  changed: string[];
}

function same(a: string, b: string): boolean {
  const left = new TextEncoder().encode(a);
  const right = new TextEncoder().encode(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/**
 * Checks a report that was kept.
 *
 * @throws AppError not_a_dump, conflict (it was changed, or signed with another key)
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
  const own = textOf(body);
  if (createHash("sha256").update(own).digest("hex") !== sha256) {
    throw new AppError(
      "conflict",
      "checking the report: its content is not what its SHA-256 says: it was changed",
    );
  }
  if (!signature) return { state: "unsigned", made_at: body.made_at, body };
  if (secretKey === "") {
    throw new AppError("usage", "checking the report: it is signed; set the SECRET_KEY it was signed with");
  }
  if (!same(signature.value, sign(own, secretKey))) {
    throw new AppError(
      "conflict",
      "checking the report: the signature is not of this SECRET_KEY, or was changed",
    );
  }
  return { state: "signed", made_at: body.made_at, body };
}

/** As checkReport(), and compares the tables' digests with the rows of now. */
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
