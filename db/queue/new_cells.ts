/** The rows of a task's cells to be, all in one statement. */
import type postgres from "postgres";
import type { Sql } from "../pg/connect.ts";

/** Parts of a joined column: a character that JSON text never holds unescaped. */
export const cellSeparator = "\x1e";

/** The values of all cells joined, or the one that all of them share. */
export type Column = { joined: string } | { same: string };

/** Cells to be; their columns are joined by `cellSeparator`, JSON ones as text. */
export interface NewCells {
  /** How many there are. */
  total: number;
  /** Same for all cells. */
  variable_types_map: string;
  type_to_variable: string;
  /** First 18 hex digits of the cells' legacy ids: seconds and five random bytes. */
  legacy_prefix: string;
  /** Counter of the first cell: its last 6 hex digits. */
  legacy_counter: number;
  columns: {
    /** `{0,null,…}` as PostgreSQL writes arrays. */
    variable_indices: Column;
    ratio: Column;
    seed: Column;
    use_polish: Column;
    queue: Column;
    /** Empty: none. */
    client_args: Column;
    spread: Column;
  };
  /**
   * The cells' `prompts`, factored: each adds the text at place `floor(cell ÷ stride) mod texts.length`, joined by
   * commas into a list; sent whole they would be most of the statement.
   */
  promptParts: { texts: string[]; stride: number }[];
  /** The list of a cell for which all of them are empty. */
  promptsWithoutAny: string;
  /** Each gets the `fingerprint` of its request; those that draw their seeds one by one need none, no two are equal. */
  fingerprinted: boolean;
}

const splitText = (sql: Sql, joined: string) => sql`string_to_array(${joined}::text, ${cellSeparator}::text)`;

/** PostgreSQL takes a hundred arguments; a group of empty texts counts as one. */
const argumentsMax = 50;

export type Fragment = postgres.PendingQuery<postgres.Row[]>;

function joinTexts(sql: Sql, texts: Fragment[]): Fragment {
  if (texts.length > argumentsMax) {
    const groups = Array.from(
      { length: Math.ceil(texts.length / argumentsMax) },
      (_, i) => joinTexts(sql, texts.slice(i * argumentsMax, (i + 1) * argumentsMax)),
    );
    return joinTexts(sql, groups);
  }
  const list = texts.reduce((all, text) => sql`${all}, ${text}`, sql`, null`);
  return sql`nullif(concat_ws(','${list}), '')`;
}

function promptsOf(sql: Sql, { promptParts, promptsWithoutAny }: NewCells, place: Fragment): Fragment {
  const texts = promptParts.map(({ texts, stride }) =>
    texts.length === 1
      ? sql`nullif(${texts[0]!}::text, '')`
      // Within a select of its own the list is split once, not for each cell.
      : sql`nullif((select ${splitText(sql, texts.join(cellSeparator))})[
          1 + ((${place} / ${stride}::int) % ${texts.length}::int)], '')`
  );
  return sql`coalesce('[' || ${joinTexts(sql, texts)} || ']', ${promptsWithoutAny}::text)::json`;
}

/** A cell's `fingerprint`: equal for equal requests to the image API. */
const fingerprintOf = (sql: Sql) =>
  sql`md5(concat_ws(e'\x1f', prompts::text, seed, use_polish, client_args::text, ratio))::uuid`;

/**
 * Inserts cells for the rows of a query named `task`: its `id`, the number `first` of the first cell, and the
 * `cell_revision` that they carry.
 *
 * @param place of a cell in the matrix, row-major from 0; `c.place` counts the cells of this statement from 1
 */
export function insertCells(sql: Sql, cells: NewCells, place: Fragment): Fragment {
  const { columns: c } = cells;
  const parts = (column: Column) => splitText(sql, "joined" in column ? column.joined : "");
  const shared = (column: Column) => "same" in column ? column.same : null;
  const rows = sql`
    select
      task.id, ${cells.legacy_prefix}::text || lpad(to_hex(${cells.legacy_counter}::int + (c.place - 1)::int), 6, '0'),
      task.first + c.place - 1, coalesce(c.variable_indices, ${shared(c.variable_indices)}::text)::int[],
      ${cells.variable_types_map}::text::json, ${cells.type_to_variable}::text::json, ${
    promptsOf(sql, cells, place)
  } as prompts,
      coalesce(c.ratio, ${shared(c.ratio)}::text) as ratio, coalesce(c.seed, ${
    shared(c.seed)
  }::text)::bigint as seed,
      coalesce(c.use_polish, ${shared(c.use_polish)}::text)::boolean as use_polish, coalesce(c.queue, ${
    shared(c.queue)
  }::text),
      nullif(coalesce(c.client_args, ${shared(c.client_args)}::text), '')::json as client_args,
      coalesce(c.spread, ${shared(c.spread)}::text)::int, task.cell_revision
    from task, rows from (
      generate_series(1, ${cells.total}::int), unnest(${parts(c.variable_indices)}), unnest(${
    parts(c.ratio)
  }),
      unnest(${parts(c.seed)}), unnest(${parts(c.use_polish)}), unnest(${parts(c.queue)}),
      unnest(${parts(c.client_args)}), unnest(${parts(c.spread)})
    ) as c (place, variable_indices, ratio, seed, use_polish, queue, client_args, spread)`;
  return sql`
    insert into subtasks (
      parent_task_id, legacy_id, cell, variable_indices, variable_types_map, type_to_variable, prompts, ratio,
      seed, use_polish, queue, client_args, spread, revision${
    cells.fingerprinted ? sql`, fingerprint` : sql``
  }
    )
    ${cells.fingerprinted ? sql`select r.*, ${fingerprintOf(sql)} from (${rows} offset 0) as r` : rows}`;
}
