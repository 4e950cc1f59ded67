/** Connections of a caller's own, beside the pool. */
import type postgres from "postgres";

// deno-lint-ignore ban-types -- porsager's own way to say "no custom types"
type Pool = postgres.Sql<{}>;

/**
 * Makes `pool.reserve()` open a session beside the pool, closed when it is released, at the latest with the pool.
 *
 * The driver's own takes one of the pool; where none is open, it may never come: a connection that opens for a
 * reservation alone is not noted as open, and one that is lost meanwhile takes the reservation with it.
 *
 * @param openOne opens a pool of one connection like those of `pool`
 */
export function reserveBeside(pool: Pool, openOne: () => Pool): void {
  const beside = new Set<Pool>();
  const endPool = pool.end;

  async function close(one: Pool, options?: { timeout?: number | undefined }): Promise<void> {
    await one.end(options);
    beside.delete(one);
  }

  pool.reserve = async () => {
    const one = openOne();
    beside.add(one);
    try {
      // Nobody else asks this pool for anything: after a statement its connection is open, and is handed out.
      await one`select 1`;
    } catch (error) {
      await close(one, { timeout: 0 });
      throw error;
    }
    const held = await one.reserve();
    const { release } = held;
    held.release = () => {
      release();
      void close(one);
    };
    return held;
  };

  pool.end = async (options) => {
    await Promise.all([endPool(options), ...[...beside].map((one) => close(one, options))]);
  };
}
