/**
 * Reads the `extra` of migrated subtasks without parsing JSON. Nearly all of them hold only indices as an object or a
 * list, only a seed that was a float, or both in this order, and no tagged values (`{"$…": …}`).
 */

const indicesStart = '{"variable_indices":';
const seedStart = '{"seed":';
const seedAfter = ',"seed":';

/** The bracket that closes the indices. Where it is part of a text, what follows it is none of the usual ends. */
const closing = `translate(substr(n.note, ${indicesStart.length + 1}, 1), '[{', ']}')`;

/**
 * SQL text for the subtasks `s`, each with `n.note`, the text of its `extra`, and `r.rest`, what follows the indices
 * in this text.
 */
export const notedSubtasks = `subtasks as s
  cross join lateral (select s.extra::text as note offset 0) as n
  cross join lateral (
    select case when n.note like '${indicesStart}%' and strpos(n.note, '$') = 0
      then substr(n.note, strpos(n.note, ${closing}) + 1) end as rest
    offset 0
  ) as r`;

const endsWithIndices =
  `(r.rest = '}' or r.rest like '${seedAfter}%' and strpos(substr(r.rest, 2), ',') = 0)`;
const isSeedOnly = `(n.note like '${seedStart}%' and strpos(n.note, ',') = 0 and strpos(n.note, '$') = 0)`;

/** SQL text: the `extra` of the subtask is null or a usual one. */
export const isUsual = `(n.note is null or ${isSeedOnly} or ${endsWithIndices})`;

/** SQL text for the JSON text of the indices in a usual `extra`; null where it holds none. */
export const notedIndices = `case when ${endsWithIndices}
  then substr(n.note, ${
  indicesStart.length + 1
}, length(n.note) - length(r.rest) - ${indicesStart.length}) end`;

/**
 * SQL text for the JSON text of the seed in a usual `extra`; null where it holds none. For any other `extra` the
 * text has no meaning.
 */
export const notedSeed = `case
  when n.note like '${seedStart}%' then substr(n.note, ${seedStart.length + 1}, length(n.note) - ${
  seedStart.length + 1
})
  when r.rest <> '}' then substr(r.rest, ${seedAfter.length + 1}, greatest(0, length(r.rest) - ${
  seedAfter.length + 1
}))
end`;
