delete from outbox where kind = 'held';
alter table outbox drop constraint outbox_kind_known;
alter table outbox add constraint outbox_kind_known check (kind in ('submitted', 'completed', 'partial', 'failed'));
drop index subtasks_dead_idx;
drop index subtasks_failed_idx;
drop table attempts;
alter table tasks drop column canary_lifted;
alter table subtasks drop column losses;
drop function failure_cause(text);
