create or replace function migration.refuse_write() returns trigger language plpgsql as $$
begin
  raise exception 'the old backend is in charge: % are changed by what comes from MongoDB only', tg_table_name
    using errcode = '57F01', hint = 'deno task migrate traffic tells which system is in charge';
end
$$;
