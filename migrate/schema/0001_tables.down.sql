drop sequence lease_ids;
drop table subtasks;
drop table tasks;
drop table users;
drop function new_legacy_id();
