/** A shadow between a played old backend and an API with the recordings' data. */
import type { Pool } from "../../../db/pg/connect.ts";
import { listShadowDifferences, readShadowCounts } from "../../../db/traffic/differences.ts";
import { silentLog } from "../../../log.ts";
import { createMetrics, type Metrics } from "../../../metrics.ts";
import type { Ask } from "../../../routes/front/shadow_ask.ts";
import { createShadow, type Shadow, type ShadowOptions } from "../../../routes/front/shadow.ts";
import { type Alteration, type AlteredBackend, startAltered } from "../../shadow/support/altered.ts";
import { person, startLoaded } from "../../shadow/support/backends.ts";
import type { TestApi } from "../../support/api.ts";
import { waitFor } from "../../support/wait.ts";

/** Sends requests to another origin. */
export const askAt = (origin: string): Ask => (request) => {
  const target = request.url.replace(/^https?:\/\/[^/]*/, "");
  return fetch(origin + target, { headers: request.headers, signal: request.signal, redirect: "manual" });
};

export interface ShadowRig extends AsyncDisposable {
  api: TestApi;
  old: AlteredBackend;
  shadow: Shadow;
  sql: Pool;
  metrics: Metrics;
  /** A token that both accept. */
  token: string;
  /** Sends a GET to the old backend, hands the answer to the shadow, and returns what a client would get. */
  get(target: string, headers?: Record<string, string>): Promise<string>;
  /** Waits until so many answers are compared or dropped. */
  settle(answers: number): Promise<Map<string, number>>;
  /** Differences as `cause route path rule`. */
  list(): Promise<string[]>;
}

/** Counts answers by outcome. */
export async function readOutcomes(metrics: Metrics): Promise<Map<string, number>> {
  const { values } = await metrics.frontShadow.get();
  return new Map(values.map(({ labels, value }) => [String(labels.outcome), value]));
}

/** Starts a shadow that compares every answer. */
export async function startShadow(
  alteration: Alteration,
  options: Partial<ShadowOptions> & { askNew?: Ask } = {},
): Promise<ShadowRig> {
  const api = await startLoaded();
  const old = startAltered(api.origin, alteration);
  const metrics = createMetrics();
  const askNew = options.askNew ?? askAt(api.origin);
  const shadow = createShadow({
    sql: api.sql,
    log: silentLog,
    metrics,
    askOld: askAt(old.origin),
    percent: 100,
    waits: { positionMs: 200, lookMs: 20, looksMax: 3 },
    ...options,
  });
  const token = await api.tokens.sign({ sub: "x", email: person.email });
  return {
    api,
    old,
    shadow,
    sql: api.database.sql,
    metrics,
    token,
    async get(target, headers = { authorization: `Bearer ${token}` }) {
      const request = new Request(`http://front.example${target}`, { headers });
      const response = await askAt(old.origin)(request);
      return await shadow.observe(request, response, askNew).text();
    },
    settle: (answers) =>
      waitFor(`${answers} compared answers`, async () => {
        const outcomes = await readOutcomes(metrics);
        return [...outcomes.values()].reduce((sum, one) => sum + one, 0) >= answers && outcomes;
      }, 30_000),
    async list() {
      const rows = await listShadowDifferences(api.database.sql, 100);
      return rows.map(({ cause, route, path, rule }) => `${cause} ${route} ${path} ${rule}`.trimEnd());
    },
    async [Symbol.asyncDispose]() {
      await shadow[Symbol.asyncDispose]();
      await old[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
    },
  };
}

/** Returns compared and equal answers. */
export async function countAnswers(sql: Pool): Promise<[compared: number, equal: number]> {
  const { compared, equal } = await readShadowCounts(sql, 1);
  return [compared, equal];
}

/** Stores that a sync has applied all changes up to a time. */
export async function setPosition(sql: Pool, atMs: number, state = "following"): Promise<void> {
  await sql`
    insert into migration.follows
      (fingerprint, source_identity, mode, state, position, position_at)
    select fingerprint, 'test', 'stream', ${state}, 1, to_timestamp(${atMs}::float8 / 1000)
    from migration.sources
    limit 1
    on conflict (id) do update
    set position_at = excluded.position_at, state = excluded.state, applied_at = now()`;
}

/** Returns a task of the list. */
export async function findTask(sql: Pool): Promise<string> {
  const [row] = await sql<{ id: string }[]>`
    select id from tasks where not is_deleted and subtasks_total > 0 order by created_at desc limit 1`;
  return row!.id;
}
