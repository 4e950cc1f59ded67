drop trigger outbox_fan_out on outbox;
drop function fan_out_notices();
drop table deliveries;
drop table webhooks;
drop table shares;
drop table idempotency_keys;
drop table sessions;
alter table users drop column token_version;
