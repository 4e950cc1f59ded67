drop index ratings_updated_idx;
