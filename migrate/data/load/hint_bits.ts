/**
 * Reads pages of recently committed rows once, while they are in the server's memory, so that the server sets their
 * hint bits before it writes them. Otherwise the first scan of the whole table would set them after a checkpoint or
 * two, and every page would be written again: with checksums, PostgreSQL's default since version 18, also in full
 * to the WAL.
 */
import type postgres from "postgres";

/** Approximate bytes of the table in one step. A few steps fit into the smallest shared buffers in use. */
const stepBytes = 16 * 1024 * 1024;

export class HintBitSetter {
  #from: number | undefined;
  #to = 0;

  /** @param stepBytesMin bytes that must be added to the table before the next step reads anything */
  constructor(readonly stepBytesMin = stepBytes) {}

  /**
   * Reads the pages that were filled before the previous step. For younger rows it would be too early: after an
   * asynchronous commit the server sets hint bits only once the WAL of the commit is flushed.
   */
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
