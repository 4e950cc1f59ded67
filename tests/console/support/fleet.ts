/** Workers, queues, failed runs and webhooks, written as rows. */
import type { ConsoleRig } from "./console.ts";
import { addRun } from "./runs.ts";

/** Adds two workers, a silent one, and queues of different health. */
export async function addFleet({ api: { database: { sql } } }: ConsoleRig): Promise<void> {
  await sql`
    insert into queue_slots (queue, slots, wanted, reason, changed_at)
    values ('high', 5, 2, 'at first', now() - interval '3 h'),
      ('standard', 12, 40, 'slower by half: 31 of 400 calls answered by HTTP 429', now() - interval '4 min'),
      ('lumina', 24, 24, 'backlog 30 with 24 slots', now() - interval '1 min')`;
  await sql`
    insert into slot_changes (queue, slots_before, slots_after, reason, changed_at)
    values ('standard', 20, 24, 'backlog 310 with 20 slots', now() - interval '9 min'),
      ('standard', 24, 12, 'slower by half: 31 of 400 calls answered by HTTP 429', now() - interval '4 min')`;
  await sql`
    insert into slot_overrides (queue, slots, reason, made_by, expires_at)
    values ('lumina', 24, 'Night shift: the GPU of the lab is ours until six', 'admin@example.com', now() + interval '4 h')`;
  const health = (creates: number, failures: number, throttled: number) =>
    JSON.stringify({
      standard: { creates, createMs: creates * 184, calls: creates * 9, failures, throttled },
    });
  await sql`
    insert into workers (id, host, pid, queues, slots, health, started_at, heartbeat_at)
    values
      ('w-7f3a', 'render-1', 4121, '{high,standard,lumina}', '{"high":5,"standard":6,"lumina":12}',
        ${health(1840, 120, 31)}::text::jsonb, now() - interval '2 days', now() + interval '1 h'),
      ('w-91bc', 'render-2', 988, '{standard,lumina}', '{"standard":6,"lumina":12}', ${
    health(1702, 96, 12)
  }::text::jsonb,
        now() - interval '5 h', now() + interval '1 h'),
      ('w-dead', 'render-3', 17, '{standard}', '{"standard":4}', '{}', now() - interval '9 days', now() - interval '2 h')`;
  await sql`insert into leaders (role, holder, lease_until) values ('queue', 'w-7f3a', now() + interval '1 h')`;
}

/** Adds two runs with failed cells. @returns the id of the second */
export async function addFailedRuns(rig: ConsoleRig): Promise<string> {
  const values = (count: number) => Array.from({ length: count }, (_, i) => `value ${i + 1}`);
  await addRun(rig, rig.people.user, {
    name: "城市夜景 · 采样步数对比",
    axes: { prompt: values(8), seed: values(5) },
    states: { failed: 0.3, pending: 0.4 },
  });
  return await addRun(rig, rig.people.other, {
    name: "Character sheet, spring outfits, second pass with a softer light and a longer name than fits",
    axes: { prompt: values(10), seed: values(6) },
    states: { failed: 0.4 },
  });
}

/** Adds two webhooks of a run, one with deliveries. */
export async function addWebhooks(
  { api: { database: { sql } }, people }: ConsoleRig,
  task: string,
): Promise<void> {
  await sql`
    insert into webhooks (task_id, url, secret, events, created_by, created_at)
    select ${task}, 'https://hooks.studio.example/contactsheet/' || n, 'whsec_secret_secret', '{completed,failed,held}',
      ${people.user.id}, now() - n * interval '1 min'
    from generate_series(1, 2) as n`;
  await sql`
    insert into deliveries (webhook_id, event, tries, closed_at, status, error)
    select id, d.event, d.tries, d.closed_at, d.status, d.error
    from webhooks
    cross join (values ('completed', 1, now(), 200, null), ('held', 9, now(), 500, 'HTTP 500'), ('test', 0, null, null, null))
      as d (event, tries, closed_at, status, error)
    where url like '%/1'`;
}
