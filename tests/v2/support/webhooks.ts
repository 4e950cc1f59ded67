/** A receiver of webhooks, and an API with a task whose events are sent. */
import assert from "node:assert/strict";
import { WebhookSender } from "../../../jobs/tell/webhooks.ts";
import { silentLog } from "../../../log.ts";
import { startApi } from "../../support/api.ts";
import { addMatrix, addPeople, call } from "./api.ts";

interface ReceivedRequest {
  path: string;
  headers: Headers;
  text: string;
}

/** Starts a receiver; by default it responds with 200. */
export function startReceiver(
  answer: (path: string, tries: number) => Response | Promise<Response> = () => new Response(),
) {
  const received: ReceivedRequest[] = [];
  const tries = new Map<string, number>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const path = new URL(request.url).pathname;
    received.push({ path, headers: request.headers, text: await request.text() });
    tries.set(path, (tries.get(path) ?? 0) + 1);
    return await answer(path, tries.get(path)!);
  });
  const origin = `http://127.0.0.1:${server.addr.port}`;
  return { received, origin, [Symbol.asyncDispose]: () => server.shutdown() };
}

/** Starts an API with a task and the given WEBHOOK_HOSTS. */
export async function setUpWebhooks(hosts: string[]) {
  const api = await startApi({ env: { WEBHOOK_HOSTS: hosts.join(",") } });
  const people = await addPeople(api);
  const task = await addMatrix(api, people.user);
  const { sql } = api.database;
  const sender = () =>
    new WebhookSender({ sql, log: silentLog, hosts, random: () => 0.5, timeoutMs: 20_000 });
  const add = async (url: string, more: Record<string, unknown> = {}) => {
    const answer = await call(api, people.user, "POST", `/tasks/${task}/webhooks`, { url, ...more });
    assert.equal(answer.status, 201, answer.text);
    return answer.body as { id: string; secret: string; url: string; events: string[] };
  };
  const addEvent = (kind: string) => sql`insert into outbox (task_id, kind) values (${task}, ${kind})`;
  const readLog = async (id: string) =>
    (await call(api, people.user, "GET", `/tasks/${task}/webhooks/${id}/deliveries`)).body.items;
  /** Makes all waiting deliveries due. */
  const makeDue = () => sql`update deliveries set due_at = now() - interval '1 s' where closed_at is null`;
  return {
    api,
    ...people,
    task,
    sql,
    sender,
    add,
    addEvent,
    readLog,
    makeDue,
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}
