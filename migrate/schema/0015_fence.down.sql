alter table migration.follows add column source_at timestamptz(3);
drop trigger subtasks_fence on subtasks;
drop trigger tasks_fence on tasks;
drop trigger users_fence on users;
drop procedure migration.set_fence(boolean);
drop function migration.refuse_write();
