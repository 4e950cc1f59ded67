alter table tasks drop column grown;
