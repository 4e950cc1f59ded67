-- `subtasks_processing_idx` serves its queries.
drop index subtasks_held_idx;
