/** Users with sessions, requests to v2, and tasks with images. */
import type { TestApi } from "../../support/api.ts";
import { createAccessTokens } from "../../../routes/v2/kit/access_tokens.ts";
import { insertSession } from "../../../db/people/sessions.ts";
import { parseJson } from "../../../json.ts";
import { type Json, type JsonObject } from "../../../json.ts";
import { silentLog } from "../../../log.ts";
import { submitTask } from "../../../jobs/moves/submit.ts";
import { addUsers, type Kind, kinds, type Person } from "../../support/people.ts";

export interface V2Person extends Person {
  /** The access token of v2; `token` is that of v1. */
  access: string;
}

/**
 * Inserts one user of each kind and signs them in. The sessions of `deleted` and `disabled` are not valid.
 */
export async function addPeople(api: TestApi): Promise<Record<Kind, V2Person>> {
  const people = await addUsers(api);
  const accessTokens = createAccessTokens(api.config.SECRET_KEY);
  const all = await Promise.all(kinds.map(async (kind): Promise<[Kind, V2Person]> => {
    const person = people[kind];
    const session = kind === "deleted"
      ? { id: crypto.randomUUID(), version: 0 }
      : await insertSession(api.database.sql, {
        userId: person.id,
        tokenHash: crypto.getRandomValues(new Uint8Array(32)),
        lifeSeconds: 3600,
        client: "test",
      });
    const { id: sessionId, version } = session;
    const access = await accessTokens.sign({ userId: person.id, sessionId, version });
    return [kind, { ...person, access }];
  }));
  return Object.fromEntries(all) as Record<Kind, V2Person>;
}

export interface Answer {
  status: number;
  headers: Headers;
  // deno-lint-ignore no-explicit-any -- each response has its own shape; each test checks the fields that it uses
  body: any;
  text: string;
}

/**
 * Sends a request as a person or with a token. The body is sent as JSON. Event streams are closed after the
 * head.
 */
export async function call(
  api: Pick<TestApi, "origin">,
  caller: V2Person | string | undefined,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const token = typeof caller === "string" ? caller : caller?.access;
  const response = await fetch(`${api.origin}/api/v2${path}`, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
  if (isStream) await response.body?.cancel();
  const text = isStream ? "" : await response.text();
  const isJson = /[/+]json$/.test(response.headers.get("content-type") ?? "");
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: isJson && text !== "" ? JSON.parse(text) : undefined,
  };
}

/** Submits a task of `prompts` × `ratios` cells and completes the first `drawn` of them. */
export async function addMatrix(
  { database: { sql } }: Pick<TestApi, "database">,
  owner: Person,
  { prompts = 3, ratios = 2, drawn = prompts * ratios, name = "a matrix" }: {
    prompts?: number;
    ratios?: number;
    drawn?: number;
    name?: string;
  } = {},
): Promise<string> {
  const values = (count: number, text: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => text(i));
  const tags = parseJson(
    '[{"id":"1","type":"prompt","isVariable":true,"name":"prompt"},{"id":"2","type":"ratio","isVariable":true,"name":"ratio"}]',
  ) as Json[];
  const variables = parseJson(JSON.stringify({
    v0: { name: "prompt", values: values(prompts, (i) => `prompt ${i}`) },
    v1: { name: "ratio", values: values(ratios, (i) => `${i + 1}:1`) },
  })) as JsonObject;
  const { id, email } = owner;
  const input = { user: { id, email }, taskName: name, tags, variables, settings: new Map() };
  const task = await submitTask({ sql, log: silentLog }, input);
  await sql`
    update subtasks
    set status = 'completed', completed_at = now(), started_at = now(), attempt = 1,
      image_url = 'https://images.example/' || cell || '.png',
      result = json_build_object('images', json_build_array(json_build_object('url', 'https://images.example/' || cell || '.png')))
    where parent_task_id = ${task.id} and cell < ${drawn}`;
  await sql`
    update tasks
    set subtasks_completed = ${drawn}, status = case when ${drawn} = subtasks_total then 'completed' else 'processing' end,
      completed_at = case when ${drawn} = subtasks_total then now() end, started_at = now(),
      all_subtasks_completed = ${drawn} = subtasks_total
    where id = ${task.id}`;
  return task.id;
}
