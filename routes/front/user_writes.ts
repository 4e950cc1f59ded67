/**
 * Writes of users through the front. A user's reads go to the old backend while a write of theirs has not ended, and
 * until it is applied here. The note is made before the write is sent, so that the other processes know of it even if
 * this one cannot reach PostgreSQL any more when the write has ended.
 */
import type { Pool } from "../../db/pg/connect.ts";
import { beginFrontWrite, endFrontWrite } from "../../db/traffic/processes.ts";
import type { Log } from "../../log.ts";

export class UserWrites {
  /** Number of ends that could not be noted, by user. */
  readonly #unnoted = new Map<string, number>();

  constructor(readonly sql: Pool, readonly log: Log) {}

  /** Notes that a write begins. @returns whether it was noted */
  async begin(userKey: string): Promise<boolean> {
    try {
      await beginFrontWrite(this.sql, userKey);
    } catch (error) {
      this.log.warn("a write was not noted", { error: String(error) });
      return false;
    }
    await this.#noteEnds();
    return true;
  }

  /** Notes that a write has ended. If that fails, the next write through this process notes it. */
  async end(userKey: string): Promise<void> {
    this.#unnoted.set(userKey, 1 + (this.#unnoted.get(userKey) ?? 0));
    await this.#noteEnds();
  }

  async #noteEnds(): Promise<void> {
    for (const [userKey, count] of this.#unnoted) {
      this.#unnoted.delete(userKey);
      try {
        await endFrontWrite(this.sql, userKey, count);
      } catch (error) {
        this.#unnoted.set(userKey, count + (this.#unnoted.get(userKey) ?? 0));
        this.log.warn("the end of a write was not noted", { error: String(error) });
        return;
      }
    }
  }
}
