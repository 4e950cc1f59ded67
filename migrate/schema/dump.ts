/** Dumps the schema from the system catalogs as a readable text that is the same on every machine. */
import type { Sql } from "../../db/pg/connect.ts";

const schemas = ["migration", "public"];

async function listTables(sql: Sql): Promise<{ oid: number; name: string }[]> {
  return await sql`
    select c.oid::int as oid, format('%I.%I', n.nspname, c.relname) as name
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any(${schemas}) and c.relkind in ('r', 'p') and not c.relispartition
    order by n.nspname, c.relname collate "C"`;
}

async function dumpTable(sql: Sql, oid: number, name: string): Promise<string> {
  const columns = await sql<{ line: string }[]>`
    select format('  %I %s', a.attname, format_type(a.atttypid, a.atttypmod))
      || case
        when co.collname is not null and co.collname <> 'default' then format(' collate %I', co.collname)
        else ''
      end
      || case
        when a.attidentity <> '' then ' generated always as identity'
        when d.adbin is null then ''
        when a.attgenerated <> '' then ' generated always as (' || pg_get_expr(d.adbin, d.adrelid) || ') stored'
        else ' default ' || pg_get_expr(d.adbin, d.adrelid)
      end
      || case when a.attnotnull then ' not null' else '' end as line
    from pg_attribute a
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    left join pg_collation co on co.oid = a.attcollation
    where a.attrelid = ${oid} and a.attnum > 0 and not a.attisdropped
    order by a.attnum`;
  const constraints = await sql<{ line: string }[]>`
    select format('  constraint %I %s', conname, pg_get_constraintdef(oid)) as line
    from pg_constraint
    where conrelid = ${oid} and contype in ('p', 'u', 'f', 'c', 'x')
    order by array_position('{p,u,f,c,x}'::text[], contype::text), conname collate "C"`;
  const indexes = await sql<{ line: string }[]>`
    select pg_get_indexdef(i.indexrelid) || ';' as line
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    where i.indrelid = ${oid} and not exists (select from pg_constraint k where k.conindid = i.indexrelid)
    order by c.relname collate "C"`;
  const triggers = await sql<{ line: string }[]>`
    select pg_get_triggerdef(oid) || ';' || case tgenabled when 'D' then ' -- disabled' else '' end as line
    from pg_trigger
    where tgrelid = ${oid} and not tgisinternal
    order by tgname collate "C"`;
  const body = [...columns, ...constraints].map(({ line }) => line).join(",\n");
  return [
    `create table ${name} (\n${body}\n);`,
    ...indexes.map(({ line }) => line),
    ...triggers.map(({ line }) => line),
  ].join("\n");
}

/** Returns functions, sequences, tables with their constraints, indexes and triggers, each sorted by name. */
export async function dumpSchema(sql: Sql): Promise<string> {
  const functions = await sql<{ text: string }[]>`
    select rtrim(pg_get_functiondef(p.oid)) || ';' as text
    from pg_proc p
    join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = any(${schemas}) and p.prokind in ('f', 'p')
      and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
    order by n.nspname, p.proname collate "C", pg_get_function_identity_arguments(p.oid)`;
  const sequences = await sql<{ text: string }[]>`
    select format('create sequence %I.%I;', n.nspname, c.relname) as text
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any(${schemas}) and c.relkind = 'S'
      and not exists (select from pg_depend d where d.objid = c.oid and d.deptype in ('a', 'i'))
    order by n.nspname, c.relname collate "C"`;
  const tables: string[] = [];
  for (const { oid, name } of await listTables(sql)) tables.push(await dumpTable(sql, oid, name));
  const parts = [...functions.map(({ text }) => text), ...sequences.map(({ text }) => text), ...tables];
  return "-- Written by 'deno task schema' from a freshly migrated database. Do not edit.\n\n" +
    parts.join("\n\n") + "\n";
}
