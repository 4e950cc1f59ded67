-- no transaction
-- Ratings of the last minutes over all tasks: who rates now (`listRecentRaters`).
create index concurrently ratings_updated_idx on ratings (updated_at);
