-- A partition's trigger names the table that it belongs to.
create or replace function migration.refuse_write() returns trigger language plpgsql as $$
declare
  refused text;
begin
  select coalesce(p.relname, tg_table_name) into refused
  from (values (tg_relid)) as t (oid)
  left join pg_inherits as i on i.inhrelid = t.oid
  left join pg_class as p on p.oid = i.inhparent;
  raise exception 'the old backend is in charge: % are changed by what comes from MongoDB only', refused
    using errcode = '57F01', hint = 'deno task migrate traffic tells which system is in charge';
end
$$;
