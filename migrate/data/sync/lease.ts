/** The lease of a process that follows the source, or writes back to it: at most one works at a time. */
import { wait } from "../../../wait.ts";
import { acquireLeaderLease, releaseLeaderLease } from "../../../db/queue/workers.ts";
import type { Pool, Sql } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";

/** Life of a lease, and the interval of its renewals, in milliseconds. Three renewals fit into a life. */
const leaseMs = 10_000;
const renewMs = 3_000;

/** Interval at which the lease of another process is looked at, in milliseconds. */
const pollMs = 250;

export type LeaseRole = "sync" | "back";

/** Returns who holds, or held, a lease. */
async function readHolder(pool: Pool, role: LeaseRole) {
  const [row] = await pool<{ holder: string; since: string; until: string }[]>`
    select holder, to_char(since, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since, lease_until::text as until
    from leaders
    where role = ${role}`;
  return row;
}

/** A lease with a term. Each takeover by another process raises the term. */
export class Lease implements AsyncDisposable {
  #timer: ReturnType<typeof setInterval> | undefined;

  private constructor(
    readonly pool: Pool,
    readonly role: LeaseRole,
    readonly holder: string,
    readonly term: number,
  ) {
    this.#timer = setInterval(() => this.renew().catch(() => {}), renewMs);
  }

  /**
   * Renews the lease. One that has expired is renewed too, unless another process has taken it.
   *
   * @returns false if another process has, or had, the lease
   */
  async renew(): Promise<boolean> {
    return await acquireLeaderLease(this.pool, this.role, this.holder, leaseMs) === this.term;
  }

  /**
   * Acquires the lease and renews it until disposal. Waits for the lease of a process that does not renew it any more.
   *
   * @throws AppError busy when another process holds the lease and renews it
   */
  static async acquire(pool: Pool, role: LeaseRole): Promise<Lease> {
    const holder = `${Deno.hostname()}:${Deno.pid}:${crypto.randomUUID().slice(0, 8)}`;
    const first = await readHolder(pool, role);
    while (true) {
      const term = await acquireLeaderLease(pool, role, holder, leaseMs);
      if (term !== undefined) return new Lease(pool, role, holder, term);
      const other = await readHolder(pool, role);
      if (other !== undefined && (other.holder !== first?.holder || other.until !== first.until)) {
        throw new AppError(
          "busy",
          `${role}: process ${other.holder} has been running since ${other.since}; only one may run: stop it first`,
        );
      }
      await wait(pollMs);
    }
  }

  /**
   * Checks, within a transaction, that this process still holds the lease, and keeps others from taking it until the
   * transaction ends.
   *
   * @throws AppError busy
   */
  async check(sql: Sql): Promise<void> {
    const [row] = await sql`
      select
      from leaders
      where role = ${this.role} and holder = ${this.holder} and term = ${this.term} and lease_until > now()
      for share`;
    if (row) return;
    throw new AppError(
      "busy",
      `${this.role}: this process lost its lease, because it was stopped or cut off for more than ` +
        `${leaseMs / 1000} s; nothing was written since`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await releaseLeaderLease(this.pool, this.role, this.holder).catch(() => {});
  }
}
