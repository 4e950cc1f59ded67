/**
 * Ids of the old backend that the column `extra` of a migrated row keeps, because the id of the row is derived from
 * them. The SQL texts yield the JSON text of a string, or null.
 */

/** A text. A text with NUL or half a surrogate pair is tagged, with the content of its JSON text. */
const textOf = (value: string) =>
  `case json_typeof(${value})
    when 'string' then nullif((${value})::text, '""')
    when 'object' then '"' || (${value} ->> '$escaped') || '"'
  end`;

/** Returns SQL text for a field of `extra` that is a text; an empty one counts as none. */
export const keptText = (extra: string, field: string): string => textOf(`(${extra} -> '${field}')`);

/** Returns SQL text for the `_id` that `extra` keeps if it is a text or a number, as Python's `str()` writes it. */
export function keptDocumentId(extra: string): string {
  const value = `(${extra} -> '_id')`;
  return `case json_typeof(${value})
    when 'number' then '"' || (${value})::text || '"'
    else coalesce(${textOf(value)}, '"' || (${value} ->> '$numberLong') || '"')
  end`;
}
