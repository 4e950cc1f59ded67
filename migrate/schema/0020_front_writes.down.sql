alter table migration.front_writes drop column pending;
