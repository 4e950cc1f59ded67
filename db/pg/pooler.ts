/** Checks how PgBouncer, or another pooler, stands between a pool and the server. */
import { AppError } from "../../errors.ts";
import { isConnectionFailure } from "../../passing.ts";
import { connect, connectError, isPooledUrl } from "./connect.ts";

/**
 * Settings that change values or the rows that statements find, as every server has them by default. Behind a pooler,
 * sessions cannot set them.
 */
const wantedSettings: Record<string, RegExp> = {
  IntervalStyle: /^postgres$/,
  bytea_output: /^hex$/,
  extra_float_digits: /^[1-3]$/,
  array_nulls: /^on$/,
  search_path: /^("\$user", ?)?public$/,
  default_transaction_isolation: /^read committed$/,
  transform_null_equals: /^off$/,
  gin_fuzzy_search_limit: /^0$/,
};

/** Values that a message proposes. */
const proposed: Record<string, string> = {
  IntervalStyle: "'postgres'",
  bytea_output: "'hex'",
  extra_float_digits: "1",
  array_nulls: "on",
  search_path: "public",
  default_transaction_isolation: "'read committed'",
  transform_null_equals: "off",
  gin_fuzzy_search_limit: "0",
};

const unsuitable = (what: string) => new AppError("database_unsuitable", `checking the pooler: ${what}`);

/** Attempts to see two clients on one server connection. */
const attemptsMax = 5;

/**
 * Reports whether two clients get the same server connection one after the other: a pooler gives it away between two
 * transactions. Without a pooler, or in its session mode, a server connection belongs to one client.
 */
async function sharesConnections(url: string, setting: string): Promise<boolean> {
  const [one, other] = [connect(url, { max: 1, setting }), connect(url, { max: 1, setting })];
  try {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      // A statement without preparation works in every mode.
      const [mine] = await one<{ pid: number }[]>`select pg_backend_pid() as pid`.simple();
      const [theirs] = await other<{ pid: number }[]>`select pg_backend_pid() as pid`.simple();
      if (mine!.pid === theirs!.pid) return true;
    }
    return false;
  } finally {
    await Promise.all([one.end({ timeout: 0 }), other.end({ timeout: 0 })]);
  }
}

/** @throws AppError database_unsuitable where a pooler in transaction mode answers */
async function requireOwnConnections(url: string, setting: string, remedy: string): Promise<void> {
  if (!await sharesConnections(url, setting)) return;
  throw unsuitable(`${setting} leads to a pooler in transaction mode, which loses sessions; ${remedy}`);
}

/**
 * Requires that a pooler keeps transactions together, and that sessions behind it have the settings that statements rely
 * on.
 */
async function requirePooledSessions(url: string): Promise<void> {
  const pool = connect(url, { max: 1 });
  try {
    await pool`select 1`.simple();
    try {
      await pool`begin`.simple();
      await pool`rollback`.simple();
    } catch (error) {
      // PgBouncer closes the connection together with its message, which may not be read any more.
      const isRefused = /statement pooling/.test((error as Error).message) || isConnectionFailure(error);
      if (!isRefused) throw error;
      throw unsuitable(
        "DATABASE_URL leads to a PgBouncer in statement mode, which permits no transactions; set pool_mode = " +
          "transaction in pgbouncer.ini",
      );
    }
    const names = Object.keys(wantedSettings);
    const rows = await pool<{ name: string; value: string; role: string }[]>`
      select name, current_setting(name) as value, quote_ident(current_user) as role
      from unnest(${names}::text[]) as s (name)`;
    const wrong = rows.filter(({ name, value }) => !wantedSettings[name]!.test(value));
    if (wrong.length === 0) return;
    const remedies = wrong.map(({ name, role }) => `alter role ${role} set ${name} = ${proposed[name]}`);
    const found = wrong.map(({ name, value }) => `${name} is '${value}'`).join(", ");
    throw unsuitable(`${found} in its sessions; run '${remedies.join("; ")}' and reconnect PgBouncer`);
  } finally {
    await pool.end({ timeout: 0 });
  }
}

/**
 * Requires that the URLs of the settings say what stands behind them: with `pgbouncer=true` a pooler that keeps
 * transactions together, otherwise connections that belong to their client.
 *
 * @param directUrl empty where there is none
 * @throws AppError database_unsuitable that says what to change
 */
export async function requirePooling(url: string, directUrl: string): Promise<void> {
  if (isPooledUrl(url)) await requirePooledSessions(url);
  else {
    const remedy =
      "add 'pgbouncer=true' to its parameters, and set DATABASE_DIRECT_URL to PostgreSQL's own address";
    await requireOwnConnections(url, "DATABASE_URL", remedy);
  }
  if (directUrl === "") return;
  const remedy = "give PostgreSQL's own address, or a PgBouncer with pool_mode = session";
  await requireOwnConnections(directUrl, "DATABASE_DIRECT_URL", remedy).catch((error) => {
    throw connectError(error, directUrl, "DATABASE_DIRECT_URL");
  });
}
