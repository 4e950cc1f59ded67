/** Checks that a server and its database can hold our data. */
import { AppError } from "../../errors.ts";
import type { Sql } from "./connect.ts";

const versionMin = 14;

interface Server {
  version: number;
  version_text: string;
  encoding: string;
  is_standby: boolean;
  is_read_only: boolean;
}

/**
 * Checks version and encoding.
 *
 * @returns why nothing can be written to it now: it is a standby, or it only permits reads; undefined if it can
 * @throws AppError database_unsuitable with what to do
 */
export async function requireServer(sql: Sql): Promise<string | undefined> {
  const [server] = await sql<Server[]>`
    select current_setting('server_version_num')::int / 10000 as version,
      current_setting('server_version') as version_text,
      pg_encoding_to_char(encoding) as encoding,
      pg_is_in_recovery() as is_standby,
      current_setting('transaction_read_only')::bool as is_read_only
    from pg_database
    where datname = current_database()`;
  const { version, version_text, encoding, is_standby, is_read_only } = server!;
  if (version < versionMin) {
    throw new AppError(
      "database_unsuitable",
      `checking the server: it is PostgreSQL ${version_text}; wanted ${versionMin} or newer`,
    );
  }
  if (encoding !== "UTF8") {
    throw new AppError(
      "database_unsuitable",
      `checking the database: its encoding is '${encoding}'; wanted UTF8: create another with ` +
        "'create database NAME encoding UTF8 template template0'",
    );
  }
  if (is_standby) return "it is a standby: connect to the primary";
  return is_read_only ? "it only permits reads (default_transaction_read_only)" : undefined;
}

/** The same for programs that write. @throws AppError database_unsuitable also for a server that only permits reads */
export async function requireWritableServer(sql: Sql): Promise<void> {
  const reason = await requireServer(sql);
  if (reason === undefined) return;
  throw new AppError("database_unsuitable", `checking the server: nothing can be written; ${reason}`);
}
