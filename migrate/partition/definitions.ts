/** Reads from the catalogs how a table is defined, as the statements that define a partitioned table likewise. */
import type { Sql } from "../../db/pg/connect.ts";
import { AppError } from "../../errors.ts";
import type { TaskTable } from "./tables.ts";

/** How a table is defined. `primaryKey` and the lists are complete statements. */
export interface Definition extends TaskTable {
  /** Columns that a copy writes, quoted. */
  columns: string[];
  /** The primary key, with the task. */
  primaryKey: string;
  /** All other indexes. */
  indexes: string[];
  foreignKeys: string[];
  /** Triggers and whether they are disabled, owner, privileges, statistics targets, the comment. */
  rest: string[];
  /** Parameters of storage, such as `autovacuum_vacuum_scale_factor=0.05`. */
  storage: string | null;
  /** Such as `tablespace fast`, or empty. */
  tablespace: string;
  owner: string;
  /** Column whose values a sequence generates. */
  identity: string | null;
}

/** What a conversion would lose. @throws AppError conflict */
async function refuseUnknownParts(sql: Sql, { name }: TaskTable): Promise<void> {
  const found = await sql<{ what: string }[]>`
    select 'policy ' || polname as what from pg_policy where polrelid = to_regclass('public.' || ${name})
    union all
    select 'rule ' || rulename from pg_rewrite where ev_class = to_regclass('public.' || ${name})
    union all
    select 'publication ' || p.pubname
    from pg_publication_rel as r join pg_publication as p on p.oid = r.prpubid
    where r.prrelid = to_regclass('public.' || ${name})`;
  if (found.length === 0) return;
  throw new AppError(
    "conflict",
    `partitioning: table ${name} has parts that are not of this product's schema, and they would be lost: ${
      found.map(({ what }) => what).join(", ")
    }; drop them first and create them again afterwards`,
  );
}

/** Lists triggers with their state, privileges of the table and of columns, statistics targets and the comment. */
async function listRest(sql: Sql, name: string): Promise<string[]> {
  const rows = await sql<{ statement: string }[]>`
    with t as (select to_regclass('public.' || ${name}) as oid), grants as (
      select null as attname, acl.*
      from t join pg_class as c using (oid), aclexplode(c.relacl) as acl
      where acl.grantee <> c.relowner
      union all
      select a.attname, acl.*
      from t join pg_attribute as a on a.attrelid = t.oid, aclexplode(a.attacl) as acl
      where a.attnum > 0
    )
    select pg_get_triggerdef(g.oid) as statement
    from t join pg_trigger as g on g.tgrelid = t.oid
    where not g.tgisinternal
    union all
    select format('alter table public.%I %s trigger %I', ${name}::text,
      case g.tgenabled when 'D' then 'disable' when 'R' then 'enable replica' else 'enable always' end, g.tgname)
    from t join pg_trigger as g on g.tgrelid = t.oid
    where not g.tgisinternal and g.tgenabled <> 'O'
    union all
    select format('grant %s%s on public.%I to %s%s', privilege_type, ' (' || quote_ident(attname) || ')', ${name}::text,
      case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
      case when is_grantable then ' with grant option' else '' end)
    from grants
    union all
    select format('alter table public.%I alter column %I set statistics %s', ${name}::text, a.attname, a.attstattarget)
    from t join pg_attribute as a on a.attrelid = t.oid
    where a.attnum > 0 and a.attstattarget >= 0
    union all
    select format('comment on table public.%I is %L', ${name}::text, obj_description(t.oid, 'pg_class'))
    from t
    where obj_description(t.oid, 'pg_class') is not null`;
  return rows.map(({ statement }) => statement);
}

/** Reads the definition of a plain table. @throws AppError conflict when it has parts that would be lost */
export async function readDefinition(sql: Sql, table: TaskTable): Promise<Definition> {
  await refuseUnknownParts(sql, table);
  const { name, key } = table;
  const [row] = await sql<Omit<Definition, "name" | "key" | "rest">[]>`
    with t as (select to_regclass('public.' || ${name}) as oid)
    select
      array(
        select quote_ident(a.attname)
        from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        order by a.attnum
      ) as columns,
      (
        select format('alter table public.%I add constraint %I primary key (%s)', ${name}::text, k.conname,
          (
            -- A key of a partitioned table has the column that partitions it.
            select string_agg(quote_ident(a.attname), ', ' order by a.attname <> ${key}, array_position(k.conkey, a.attnum))
            from pg_attribute as a
            where a.attrelid = c.oid and (a.attnum = any(k.conkey) or a.attname = ${key})
          ))
        from pg_constraint as k
        where k.conrelid = c.oid and k.contype = 'p'
      ) as "primaryKey",
      array(
        select pg_get_indexdef(i.indexrelid)
        from pg_index as i
        where i.indrelid = c.oid and not i.indisprimary
        order by i.indexrelid
      ) as indexes,
      array(
        select format('alter table public.%I add constraint %I %s', ${name}::text, k.conname, pg_get_constraintdef(k.oid))
        from pg_constraint as k
        where k.conrelid = c.oid and k.contype = 'f' and k.conparentid = 0
        order by k.oid
      ) as "foreignKeys",
      array_to_string(c.reloptions, ', ') as storage,
      coalesce((select format('tablespace %I', spcname) from pg_tablespace as s where s.oid = c.reltablespace), '') as tablespace,
      quote_ident(pg_get_userbyid(c.relowner)) as owner,
      (
        select attname from pg_attribute where attrelid = c.oid and attidentity <> '' and not attisdropped
      ) as identity
    from t
    join pg_class as c using (oid)`;
  return { ...table, ...row!, rest: await listRest(sql, name) };
}
