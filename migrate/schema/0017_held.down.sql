create index subtasks_held_idx on subtasks (worker_id) where status = 'processing';
