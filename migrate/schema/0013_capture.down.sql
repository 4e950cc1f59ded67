do $$
declare
  capture record;
begin
  for capture in
    select tgrelid::regclass as on_table, tgname
    from pg_trigger
    where tgname like '%\_capture\_%' and tgrelid in ('users'::regclass, 'tasks'::regclass, 'subtasks'::regclass)
  loop
    execute format('drop trigger %I on %s', capture.tgname, capture.on_table);
  end loop;
end
$$;
drop procedure migration.set_capture(boolean);
drop function migration.refuse_truncate();
drop function migration.capture_subtask();
drop function migration.capture_counters();
drop function migration.capture_change();
drop function migration.document_id(text, json);
drop table migration.recounted_tasks;
