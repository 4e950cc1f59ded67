/**
 * Pages of rows just committed, read once while they are in the server's memory: it marks the rows as committed then,
 * on pages that are to be written anyway. Left to the first scan of the whole table, after a checkpoint or two, every
 * page would be written again, and with checksums (which PostgreSQL 18 has on) whole into the log first.
 */
import type postgres from "postgres";

/** Bytes of the table in one go, about: a few of them fit into the smallest shared buffers in use. */
const stepBytes = 16 * 1024 * 1024;

export class Sweeper {
  #from: number | undefined;
  #to = 0;

  /** @param stepBytesMin bytes that came in since the last step that did anything */
  constructor(readonly stepBytesMin = stepBytes) {}

  /** Reads what was written before the last step: a commit that waits for no disk counts only once its log is there. */
  async step(sql: postgres.ISql): Promise<void> {
    const [row] = await sql`
      select pg_relation_size('subtasks')::float8 as bytes, current_setting('block_size')::int as block`;
    const { bytes, block } = row as { bytes: number; block: number };
    const pages = Math.floor(bytes / block);
    if (this.#from === undefined) {
      this.#from = pages;
      this.#to = pages;
    }
    if ((pages - this.#to) * block < this.stepBytesMin) return;
    const from = this.#from;
    const to = this.#to;
    this.#from = to;
    this.#to = pages;
    if (to === from) return;
    await sql`
      select count(*) from subtasks
      where ctid >= ${`(${from},0)`}::tid and ctid < ${`(${to},0)`}::tid`;
  }
}
