/** Settings of each session that our statements rely on. */

/** Settings that every version of PgBouncer passes on in transaction mode. */
const tracked = {
  TimeZone: "UTC",
  DateStyle: "ISO, MDY",
  standard_conforming_strings: "on",
};

/**
 * Other settings with an effect on values or on the rows that statements find. `default_transaction_read_only` is absent:
 * a server that was made read-only must stay so.
 */
const direct = {
  IntervalStyle: "postgres",
  bytea_output: "hex",
  extra_float_digits: "1",
  array_nulls: "on",
  search_path: "public",
  row_security: "on",
  default_transaction_isolation: "read committed",
  default_transaction_deferrable: "off",
  transform_null_equals: "off",
  gin_fuzzy_search_limit: "0",
  statement_timeout: "0",
  lock_timeout: "0",
  idle_in_transaction_session_timeout: "0",
  idle_session_timeout: "0",
  jit: "off",
};

/**
 * Returns the parameters of the startup packet. They override the defaults of the server, the database and the user.
 *
 * @param isDirect false behind a pooler, which refuses parameters that it does not track
 */
export const pinnedSettings = (isDirect: boolean): Record<string, string> =>
  isDirect ? { ...tracked, ...direct } : tracked;
