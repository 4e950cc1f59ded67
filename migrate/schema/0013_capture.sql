-- The way back: triggers that record the keys of rows which this system changes. They are disabled until `capture on`;
-- disabled triggers cost nothing. Only columns that documents own count: leases, ratings and revisions do not. A session
-- that writes what comes from MongoDB sets `contactsheet.capture` to `off`.

-- Imported tasks whose subtasks have ended here. Documents of some generations store `processed_images` and `progress`;
-- for these tasks they are computed, for all others they are what the document had.
create table migration.recounted_tasks (
  task_id uuid not null,
  constraint recounted_tasks_pkey primary key (task_id)
);

-- `_id` of a row's document, as `extra` keeps it: Extended JSON.
create function migration.document_id(legacy_id text, extra json) returns text
language sql immutable parallel safe
return coalesce((extra -> '_id')::text, '{"$oid":"' || legacy_id || '"}');

create function migration.capture_change() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    insert into migration.changes (collection, row_id) values (tg_argv[0], new.id);
  elsif tg_op = 'DELETE' then
    insert into migration.changes (collection, row_id, deleted_id)
    values (tg_argv[0], old.id, migration.document_id(old.legacy_id, old.extra));
  else
    insert into migration.changes (collection, row_id) values (tg_argv[0], new.id);
    if old.legacy_id <> new.legacy_id then
      insert into migration.changes (collection, row_id, deleted_id)
      values (tg_argv[0], old.id, migration.document_id(old.legacy_id, old.extra));
    end if;
  end if;
  return null;
end
$$;

create function migration.capture_counters() returns trigger language plpgsql as $$
begin
  insert into migration.recounted_tasks (task_id) values (new.id) on conflict do nothing;
  return null;
end
$$;

create function migration.capture_subtask() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    insert into migration.changes (collection, parent_id, row_id, deleted_id)
    values ('dramatiq_tasks', old.parent_task_id, old.id, migration.document_id(old.legacy_id, old.extra));
  else
    insert into migration.changes (collection, parent_id, row_id)
    values ('dramatiq_tasks', new.parent_task_id, new.id);
    if tg_op = 'UPDATE' and old.legacy_id <> new.legacy_id then
      insert into migration.changes (collection, parent_id, row_id, deleted_id)
      values ('dramatiq_tasks', old.parent_task_id, old.id, migration.document_id(old.legacy_id, old.extra));
    end if;
  end if;
  return null;
end
$$;

-- TRUNCATE names no rows, so their documents could not be found.
create function migration.refuse_truncate() returns trigger language plpgsql as $$
begin
  if current_setting('contactsheet.capture', true) = 'off' then
    return null;
  end if;
  raise exception 'truncate of % while changes are captured for the way back', tg_table_name
    using hint = 'delete the rows, or set contactsheet.capture to off in this session';
end
$$;

create trigger users_capture_inserted after insert on users
for each row when (current_setting('contactsheet.capture', true) is distinct from 'off')
execute function migration.capture_change('users');
create trigger users_capture_deleted after delete on users
for each row when (current_setting('contactsheet.capture', true) is distinct from 'off')
execute function migration.capture_change('users');
create trigger users_capture_updated
after update of id, legacy_id, email, hashed_password, fullname, roles, is_active, created_at, updated_at, generation,
  extra
on users
for each row when (
  current_setting('contactsheet.capture', true) is distinct from 'off'
  and (
    old.updated_at, old.id, old.legacy_id, old.email, old.hashed_password, old.fullname, old.roles, old.is_active,
    old.created_at, old.generation, old.extra::text
  ) is distinct from (
    new.updated_at, new.id, new.legacy_id, new.email, new.hashed_password, new.fullname, new.roles, new.is_active,
    new.created_at, new.generation, new.extra::text
  )
)
execute function migration.capture_change('users');
create trigger users_capture_truncated before truncate on users
for each statement execute function migration.refuse_truncate();

create trigger tasks_capture_inserted after insert on tasks
for each row when (current_setting('contactsheet.capture', true) is distinct from 'off')
execute function migration.capture_change('tasks');
create trigger tasks_capture_deleted after delete on tasks
for each row when (current_setting('contactsheet.capture', true) is distinct from 'off')
execute function migration.capture_change('tasks');
create trigger tasks_capture_updated
after update of id, legacy_id, task_name, username, tags, variables, settings, status, error, total_images,
  all_subtasks_completed, is_deleted, priority, created_at, updated_at, subtasks_total, subtasks_completed,
  subtasks_failed, generation, extra
on tasks
for each row when (
  current_setting('contactsheet.capture', true) is distinct from 'off'
  and (
    old.updated_at, old.subtasks_completed, old.subtasks_failed, old.subtasks_total, old.status, old.id, old.legacy_id,
    old.task_name, old.username, old.error, old.total_images, old.all_subtasks_completed, old.is_deleted,
    old.priority, old.created_at, old.generation, old.tags::text, old.variables::text, old.settings::text,
    old.extra::text
  ) is distinct from (
    new.updated_at, new.subtasks_completed, new.subtasks_failed, new.subtasks_total, new.status, new.id, new.legacy_id,
    new.task_name, new.username, new.error, new.total_images, new.all_subtasks_completed, new.is_deleted,
    new.priority, new.created_at, new.generation, new.tags::text, new.variables::text, new.settings::text,
    new.extra::text
  )
)
execute function migration.capture_change('tasks');
create trigger tasks_capture_recounted after update of subtasks_total, subtasks_completed, subtasks_failed on tasks
for each row when (
  new.generation is not null
  and current_setting('contactsheet.capture', true) is distinct from 'off'
  and (old.subtasks_completed, old.subtasks_failed, old.subtasks_total)
    is distinct from (new.subtasks_completed, new.subtasks_failed, new.subtasks_total)
)
execute function migration.capture_counters();
create trigger tasks_capture_truncated before truncate on tasks
for each statement execute function migration.refuse_truncate();

create trigger subtasks_capture_inserted after insert on subtasks
for each row when (current_setting('contactsheet.capture', true) is distinct from 'off')
execute function migration.capture_subtask();
create trigger subtasks_capture_deleted after delete on subtasks
for each row when (current_setting('contactsheet.capture', true) is distinct from 'off')
execute function migration.capture_subtask();
create trigger subtasks_capture_updated
after update of parent_task_id, id, legacy_id, variable_indices, variable_types_map, type_to_variable, status, result,
  error, retry_count, prompts, ratio, seed, use_polish, created_at, updated_at, generation, extra
on subtasks
for each row when (
  current_setting('contactsheet.capture', true) is distinct from 'off'
  and (
    old.updated_at, old.status, old.retry_count, old.error, old.parent_task_id, old.id, old.legacy_id,
    old.variable_indices, old.ratio, old.seed, old.use_polish, old.created_at, old.generation, old.result::text,
    old.variable_types_map::text, old.type_to_variable::text, old.prompts::text, old.extra::text
  ) is distinct from (
    new.updated_at, new.status, new.retry_count, new.error, new.parent_task_id, new.id, new.legacy_id,
    new.variable_indices, new.ratio, new.seed, new.use_polish, new.created_at, new.generation, new.result::text,
    new.variable_types_map::text, new.type_to_variable::text, new.prompts::text, new.extra::text
  )
)
execute function migration.capture_subtask();
create trigger subtasks_capture_truncated before truncate on subtasks
for each statement execute function migration.refuse_truncate();

-- `alter table … enable trigger user` would enable them as well, so each is named.
create procedure migration.set_capture(is_enabled boolean) language plpgsql as $$
declare
  capture record;
begin
  for capture in
    select tgrelid::regclass as on_table, tgname
    from pg_trigger
    where tgname like '%\_capture\_%' and tgrelid in ('users'::regclass, 'tasks'::regclass, 'subtasks'::regclass)
    -- In the order in which rows are locked elsewhere.
    order by array_position(array['users', 'tasks', 'subtasks']::regclass[], tgrelid::regclass), tgname
  loop
    execute format(
      'alter table %s %s trigger %I', capture.on_table, case when is_enabled then 'enable' else 'disable' end,
      capture.tgname
    );
  end loop;
end
$$;

call migration.set_capture(false);
