-- How a task's matrix came to its size: without it the places of cells that were added later are not to be told.

alter table tasks
  -- Each time an axis got further values, oldest first: [{"slot":0,"known":2,"length":3}]. The cells born first are
  -- numbered row-major; those of each extension follow, row-major among themselves.
  add column grown json;
