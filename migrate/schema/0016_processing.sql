-- no transaction
-- Cells that workers hold: by task for the version of an open task (`findTaskVersion`), and by worker. There are about as
-- many as there are slots, so that a search for a worker may read the whole index.
create index concurrently subtasks_processing_idx on subtasks (parent_task_id, worker_id) where status = 'processing';
