drop index subtasks_processing_idx;
