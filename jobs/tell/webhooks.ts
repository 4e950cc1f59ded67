/** Sends webhooks: signed, each in its order, again until they arrived; none waits for another's receiver. */
import { readWebhookUrl } from "../../config.ts";
import type { Sql } from "../../db/pg/connect.ts";
import { type DueDelivery, saveDelivery, takeDueDeliveries } from "../../db/queue/webhooks.ts";
import type { Log } from "../../log.ts";
import { type PostDeps, postPinned, type PostResult } from "./webhooks_post.ts";

export interface WebhookDeps {
  sql: Sql;
  log: Log;
  /** WEBHOOK_HOSTS: may have changed since the webhook was made. */
  hosts: string[];
  /** Milliseconds that a receiver has. */
  timeoutMs?: number;
  random?: () => number;
  net?: PostDeps;
}

const timeoutMsStandard = 10_000;
/** Longer than any try takes: what is due again after it had its sender die. */
const holdMs = 60_000;
export const triesMax = 12;
const sendingMax = 64;
const hostMax = 8;

/** 5 s, 10 s, … an hour at most; 1.4 hours in all. */
const againMs = (tries: number, random: () => number): number =>
  Math.round(Math.min(5_000 * 2 ** (tries - 1), 3_600_000) * (0.8 + 0.4 * random()));

const hex = (bytes: ArrayBuffer): string => new Uint8Array(bytes).toHex();

/**
 * `t=…,v1=…`: the second in which it was signed, and HMAC-SHA-256 of `t.body`.
 *
 * @param seconds since 1970
 */
export async function signBody(secret: string, body: string, seconds: number): Promise<string> {
  const encoder = new TextEncoder();
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), hmac, false, ["sign"]);
  return `t=${seconds},v1=${
    hex(await crypto.subtle.sign("HMAC", key, encoder.encode(`${seconds}.${body}`)))
  }`;
}

/** What a receiver is sent; the task's part is as of the sending. */
export function deliveryBody(due: DueDelivery): string {
  const {
    id,
    event,
    created_at,
    task_id,
    task_name,
    status,
    hold_reason,
    total,
    completed,
    failed,
    cancelled,
  } = due;
  return JSON.stringify({
    delivery: id,
    event,
    at: created_at.toISOString(),
    task: {
      id: task_id,
      name: task_name,
      status,
      hold_reason,
      total,
      completed,
      failed,
      cancelled,
      created_at: due.task_created_at.toISOString(),
      completed_at: due.completed_at?.toISOString() ?? null,
    },
  });
}

export class WebhookSender {
  readonly #deps: WebhookDeps;
  readonly #sending = new Map<string, Promise<void>>();
  readonly #hosts = new Map<string, number>();

  constructor(deps: WebhookDeps) {
    this.#deps = deps;
  }

  /**
   * Begins to send what is due, as much as there is room for; what ends makes room for more.
   *
   * @returns how many were begun
   */
  async kick(): Promise<number> {
    const limit = sendingMax - this.#sending.size;
    if (limit <= 0) return 0;
    const fullHosts = [...this.#hosts].filter(([, count]) => count >= hostMax).map(([host]) => host);
    const due = await takeDueDeliveries(this.#deps.sql, { limit, holdMs, fullHosts, hostMax });
    for (const delivery of due) {
      const { host } = new URL(delivery.url);
      this.#hosts.set(host, (this.#hosts.get(host) ?? 0) + 1);
      const sent = this.#send(delivery).catch((error) =>
        this.#deps.log.warn("a webhook's try was not noted: it is sent again", { cause: String(error) })
      ).finally(() => {
        this.#sending.delete(delivery.id);
        const left = this.#hosts.get(host)! - 1;
        if (left > 0) this.#hosts.set(host, left);
        else this.#hosts.delete(host);
      });
      this.#sending.set(delivery.id, sent);
    }
    return due.length;
  }

  /** The same, until nothing is due any more and all tries have ended. */
  async drain(): Promise<void> {
    while (await this.kick() > 0 || this.#sending.size > 0) await Promise.all(this.#sending.values());
  }

  async #send(due: DueDelivery): Promise<void> {
    const { sql, log, random = Math.random } = this.#deps;
    const result = await this.#post(due);
    const status = "status" in result ? result.status : null;
    const arrived = status !== null && status >= 200 && status < 300;
    // 410 says that nobody will ever be there again.
    const closed = arrived || status === 410 || due.tries >= triesMax;
    const refusal = status !== null && status >= 300 && status < 400
      ? "redirects are not followed"
      : `HTTP ${status}`;
    const error = arrived ? null : "error" in result ? result.error : refusal;
    const { id, tries } = due;
    await saveDelivery(sql, { id, tries, closed, againMs: againMs(tries, random), status, error });
    if (error === null) return;
    const fields = { task_id: due.task_id, webhook: due.webhook_id, tries, cause: error };
    log.warn(closed ? "webhook given up" : "webhook will be sent again", fields);
  }

  async #post(due: DueDelivery): Promise<PostResult> {
    const { hosts, timeoutMs = timeoutMsStandard, net } = this.#deps;
    const target = readWebhookUrl(hosts, due.url);
    if (typeof target === "string") return { error: "its host is not in WEBHOOK_HOSTS any more" };
    const body = deliveryBody(due);
    const headers = {
      "content-type": "application/json",
      "user-agent": "contactsheet",
      "x-contactsheet-event": due.event,
      "x-contactsheet-delivery": due.id,
      "x-contactsheet-signature": await signBody(due.secret, body, Math.floor(Date.now() / 1000)),
    };
    return await postPinned({ ...target, headers, body, timeoutMs }, net);
  }
}
