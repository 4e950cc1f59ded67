-- Writes of a user through the front that have not ended, or whose end could not be noted.
alter table migration.front_writes add column pending integer not null default 0;
