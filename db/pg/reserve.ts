/** Reserved connections outside of the pool. */
import type postgres from "postgres";

// deno-lint-ignore ban-types -- the driver's notation for "no custom types"
type Pool = postgres.Sql<{}>;

const losses = new WeakMap<postgres.ReservedSql, Promise<never>>();

/**
 * Returns a promise that rejects (CONNECTION_CLOSED) when a reserved session ends. The driver never answers
 * statements that are waiting at that moment or are sent later.
 */
export const rejectWhenLost = (session: postgres.ReservedSql): Promise<never> =>
  losses.get(session) ?? Promise.withResolvers<never>().promise;

/**
 * Returns a session whose statements fail once it is lost. The driver itself would end the process for a statement that
 * is sent later.
 */
export function refuseWhenLost(sql: postgres.ReservedSql): postgres.ReservedSql {
  let loss: unknown;
  rejectWhenLost(sql).catch((error) => loss = error);
  const check = () => {
    if (loss) throw loss;
  };
  return new Proxy(sql, {
    apply(target, self, args) {
      check();
      return Reflect.apply(target, self, args);
    },
    get(target, name) {
      if (name === "unsafe") check();
      return Reflect.get(target, name);
    },
  });
}

/**
 * Makes `pool.reserve()` open a session outside of the pool. The session is closed when it is released, at
 * the latest with the pool.
 *
 * The driver's own `reserve()` takes a connection of the pool and may wait forever if none is open: it does
 * not count a connection that opens for the reservation as open, and a connection that is lost meanwhile
 * drops the reservation.
 *
 * @param openOne opens a pool with one connection, configured like `pool`
 */
export function reserveOutsidePool(pool: Pool, openOne: () => Pool): void {
  const singles = new Set<Pool>();
  const endPool = pool.end;

  async function close(one: Pool, options?: { timeout?: number | undefined }): Promise<void> {
    await one.end(options);
    singles.delete(one);
  }

  pool.reserve = async () => {
    const one = openOne();
    singles.add(one);
    try {
      // No one else uses this pool: after one statement its connection is open and can be reserved.
      await one`select 1`;
    } catch (error) {
      await close(one, { timeout: 0 });
      throw error;
    }
    const session = await one.reserve();
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {});
    losses.set(session, promise);
    one.options.onclose = () =>
      reject(Object.assign(new Error("the reserved session ended"), { code: "CONNECTION_CLOSED" }));
    const { release } = session;
    session.release = () => {
      release();
      // Without a timeout, a session that was lost during a statement is waited for forever.
      void close(one, { timeout: 1 });
    };
    return session;
  };

  pool.end = async (options) => {
    await Promise.all([endPool(options), ...[...singles].map((one) => close(one, options))]);
  };
}
