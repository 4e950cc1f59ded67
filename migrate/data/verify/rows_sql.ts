/** COPY statements that read rows by key. */
import type { Collection, Range } from "../documents/source.ts";
import { splitKeys, tables } from "../lens/tables.ts";

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

/**
 * Returns a COPY statement for the rows with some keys, in the order of the keys.
 *
 * @param first an expression to select before the columns
 */
export function selectRows(collection: Collection, keys: string[], first?: string): string {
  const { name, columns, keyColumns } = tables[collection];
  const selected = columns.map((column) => `t.${column}`);
  if (first !== undefined) selected.unshift(first);
  // The keys are uuids that the lens made or checked, so they hold no quotes.
  const arrays = splitKeys(collection, keys).map((ids) => `'{${ids.join()}}'::uuid[]`).join();
  return `copy (
    select ${selected.join()}
    from unnest(${arrays}) with ordinality as k (${keyColumns.join()}, position)
    join ${name} t using (${keyColumns.join()})
    order by k.position
  ) to stdout`;
}
