alter table migration.differences drop column cause, drop column number;
alter table migration.verifications drop column plan;
drop table migration.verified_ranges;
