/** What the operator has accepted, with the time and the name. An acceptance holds for a day. */
import { gateReadingName } from "../../../db/migration/journal.ts";
import type { Sql } from "../../../db/pg/connect.ts";
import type { SwitchContext } from "./context.ts";

/** A group of documents without a row of their own, such as `quarantine:tasks/orphan`. */
export interface ExceptionGroup {
  /** Under which it is accepted. */
  name: string;
  documents: number;
  /** Of the documents' ids: an acceptance does not hold for further documents. */
  digest: string;
}

/** Lists the quarantined and the waiting documents by collection and reason. */
export async function listExceptionGroups(sql: Sql): Promise<ExceptionGroup[]> {
  return await sql<ExceptionGroup[]>`
    select kind || ':' || collection || '/' || reason as name, count(*)::float8 as documents,
      md5(string_agg(coalesce(document_id, '?'), ' ' order by document_id)) as digest
    from (
      select 'quarantine' as kind, collection, reason, document_id from migration.quarantine
      union all
      select 'waiting', collection, reason, document_id from migration.waiting
    ) as e
    group by kind, collection, reason
    order by 1`;
}

/** Stores what the operator accepts: names of checks, and of groups of documents as they are now. */
export async function saveAcceptances(
  { pool, by }: Pick<SwitchContext, "pool" | "by">,
  names: readonly string[],
): Promise<void> {
  if (names.length === 0) return;
  const digests = new Map((await listExceptionGroups(pool)).map(({ name, digest }) => [name, digest]));
  for (const name of names) {
    await saveDecision(pool, `accept:${name}`, { digest: digests.get(name) ?? null }, by);
  }
}

/** What is accepted now. */
export interface Acceptances {
  names: Set<string>;
  /** Digest of each accepted group of documents. */
  digests: Map<string, string>;
}

export async function readAcceptances(sql: Sql): Promise<Acceptances> {
  const rows = await sql<{ name: string; digest: string | null }[]>`
    select substr(name, 8) as name, value ->> 'digest' as digest
    from migration.decisions
    where name like 'accept:%' and decided_at > now() - interval '1 day'`;
  return {
    names: new Set(rows.map(({ name }) => name)),
    digests: new Map(rows.flatMap(({ name, digest }) => digest === null ? [] : [[name, digest] as const])),
  };
}

/** A stored decision. */
export interface DecisionRow {
  name: string;
  value: Record<string, unknown>;
  decided_by: string;
  /** ISO 8601. */
  decided_at: string;
}

/** Stores a decision under a name, in place of an earlier one. */
export async function saveDecision(
  sql: Sql,
  name: string,
  value: object,
  by: string,
): Promise<void> {
  await sql`
    insert into migration.decisions (name, value, decided_by)
    values (${name}, ${JSON.stringify(value)}::text::json, ${by})
    on conflict (name) do update
    set value = excluded.value, decided_by = excluded.decided_by, decided_at = now()`;
}

/** Lists all decisions, the oldest first. The stored result of the gate is not a decision. */
export async function listDecisions(sql: Sql): Promise<DecisionRow[]> {
  return await sql<DecisionRow[]>`
    select name, value, decided_by, to_char(decided_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as decided_at
    from migration.decisions
    where name <> ${gateReadingName}
    order by migration.decisions.decided_at, name`;
}

/** Records a backup of the target, for the gate. */
export const saveBackup = (sql: Sql, folder: string, by: string): Promise<void> =>
  saveDecision(sql, "backup", { folder }, by);
