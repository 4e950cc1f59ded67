drop index subtasks_revision_idx;
