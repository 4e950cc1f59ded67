/** The cause of a difference, as SQL. */
import type { Range } from "../documents/source.ts";

/**
 * Returns an SQL expression for the cause of a difference in the row `t`. A row that is unchanged since the load has
 * the transaction id of its range's record, or of the source's record that was settled after it.
 *
 * @param fingerprint hex digits, so it needs no quoting
 */
export const causeSql = (fingerprint: string, { collection, number }: Range): string =>
  `case
    when t.xmin in (
      select xmin
      from migration.ranges
      where fingerprint = '${fingerprint}' and collection = '${collection}' and number = ${number}
      union all
      select xmin
      from migration.sources
    ) then 'rule'
    when t.updated_at > (select min(settled_at) from migration.sources) and t.updated_at <= now() then 'new_system'
    else 'outside_writer'
  end`;
