-- no transaction
-- Live views and deltas of planes: which cells of a task changed since a revision. Cells that never did are left out, so
-- that neither a submission nor a load writes to it.
create index concurrently subtasks_revision_idx on subtasks (parent_task_id, revision) where revision > 0;
