-- The fence: while the old backend is in charge after a rollback, only sessions that write what comes from MongoDB may
-- change what documents own. A process that stood still during the rollback is refused by it when it wakes. The triggers
-- are disabled at first and while this system is in charge; disabled triggers cost nothing.

-- Class 57: the request may succeed later, as after a restart of the server.
create function migration.refuse_write() returns trigger language plpgsql as $$
begin
  raise exception 'the old backend is in charge: % are changed by what comes from MongoDB only', tg_table_name
    using errcode = '57F01', hint = 'deno task migrate traffic tells which system is in charge';
end
$$;

create trigger users_fence
after insert or delete or update of id, legacy_id, email, hashed_password, fullname, roles, is_active, created_at,
  updated_at, generation, extra
on users
for each row when (current_setting('contactsheet.capture', true) is distinct from 'off')
execute function migration.refuse_write();

create trigger tasks_fence
after insert or delete or update of id, legacy_id, task_name, username, tags, variables, settings, status, error,
  total_images, all_subtasks_completed, is_deleted, priority, created_at, updated_at, subtasks_total,
  subtasks_completed, subtasks_failed, generation, extra
on tasks
for each row when (current_setting('contactsheet.capture', true) is distinct from 'off')
execute function migration.refuse_write();

create trigger subtasks_fence
after insert or delete or update of parent_task_id, id, legacy_id, variable_indices, variable_types_map,
  type_to_variable, status, result, error, retry_count, prompts, ratio, seed, use_polish, created_at, updated_at,
  generation, extra
on subtasks
for each row when (current_setting('contactsheet.capture', true) is distinct from 'off')
execute function migration.refuse_write();

-- Locks the tables against writers: a transaction that has written must end first, and one that writes later is refused.
create procedure migration.set_fence(is_up boolean) language plpgsql as $$
declare
  fenced text;
begin
  foreach fenced in array array['users', 'tasks', 'subtasks'] loop
    execute format(
      'alter table %I %s trigger %I', fenced, case when is_up then 'enable' else 'disable' end, fenced || '_fence'
    );
  end loop;
end
$$;
call migration.set_fence(false);

-- Nothing has read it.
alter table migration.follows drop column source_at;
