/** Connections of a caller's own, beside the pool. */
import type postgres from "postgres";

// deno-lint-ignore ban-types -- porsager's own way to say "no custom types"
type Pool = postgres.Sql<{}>;

const losses = new WeakMap<postgres.ReservedSql, Promise<never>>();

/**
 * Rejects (CONNECTION_CLOSED) when a reserved session ends: what is asked of it from then on, or waited for its turn,
 * the driver leaves without an answer.
 */
export const whenLost = (held: postgres.ReservedSql): Promise<never> =>
  losses.get(held) ?? Promise.withResolvers<never>().promise;

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
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {});
    losses.set(held, promise);
    one.options.onclose = () =>
      reject(Object.assign(new Error("the reserved session ended"), { code: "CONNECTION_CLOSED" }));
    const { release } = held;
    held.release = () => {
      release();
      // One that was lost in the middle of a statement would be waited for for ever.
      void close(one, { timeout: 1 });
    };
    return held;
  };

  pool.end = async (options) => {
    await Promise.all([endPool(options), ...[...beside].map((one) => close(one, options))]);
  };
}
