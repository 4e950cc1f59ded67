drop table migration.replays;
drop table migration.repairs;
