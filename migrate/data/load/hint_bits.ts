/**
 * Reads pages of recently committed rows once, while they are in the server's memory, so that the server sets their
 * hint bits before it writes them. Otherwise the first scan of the whole table would set them after a checkpoint or
 * two, and every page would be written again: with checksums, PostgreSQL's default since version 18, also in full
 * to the WAL.
 */
import type postgres from "postgres";

/** Approximate bytes of the table in one step. A few steps fit into the smallest shared buffers in use. */
const stepBytes = 16 * 1024 * 1024;

/** Pages of a table that one step reads. */
interface Span {
  from: number;
  to: number;
}

export class HintBitSetter {
  /** By the table or its partition. The positions of rows are only unique within one of them. */
  readonly #spans = new Map<string, Span>();

  /** @param stepBytesMin bytes that must be added to the table before the next step reads anything */
  constructor(readonly stepBytesMin = stepBytes) {}

  /**
   * Reads the pages that were filled before the previous step. For younger rows it would be too early: after an
   * asynchronous commit the server sets hint bits only once the WAL of the commit is flushed.
   */
  async step(sql: postgres.ISql): Promise<void> {
    const parts = await sql<{ name: string; pages: number; block: number }[]>`
      select c.oid::regclass::text as name, current_setting('block_size')::int as block,
        (pg_relation_size(c.oid) / current_setting('block_size')::int)::int as pages
      from pg_class as c
      where c.relkind = 'r'
        and (c.oid = 'subtasks'::regclass
          or c.oid in (select inhrelid from pg_inherits where inhparent = 'subtasks'::regclass))`;
    for (const { name, pages, block } of parts) {
      const span = this.#spans.get(name);
      if (span === undefined) this.#spans.set(name, { from: pages, to: pages });
      else if ((pages - span.to) * block * parts.length >= this.stepBytesMin) {
        const { from, to } = span;
        this.#spans.set(name, { from: to, to: pages });
        if (to > from) await this.#read(sql, name, from, to);
      }
    }
  }

  async #read(sql: postgres.ISql, name: string, from: number, to: number): Promise<void> {
    await sql`
      select count(*) from ${sql(name)}
      where ctid >= ${`(${from},0)`}::tid and ctid < ${`(${to},0)`}::tid`;
  }
}
