/** Inserts all cells of a task in one statement. */
import type postgres from "postgres";
import type { Sql } from "../pg/connect.ts";

/** Separates the values of a joined column: a character that JSON text never contains unescaped. */
export const cellSeparator = "\x1e";

/** The values of all cells, joined; or the one value of all cells. */
export type Column = { joined: string } | { same: string };

/** Cells to insert. Their columns are joined by `cellSeparator`, JSON columns as text. */
export interface NewCells {
  /** Number of cells. */
  total: number;
  /** JSON text, the same for all cells, as is the next. */
  variable_types_map: string;
  type_to_variable: string;
  /** First 18 hex digits of the legacy ids: seconds and five random bytes. */
  legacy_prefix: string;
  /** Counter of the first cell: the last 6 hex digits of its legacy id. */
  legacy_counter: number;
  columns: {
    /** `{0,null,…}`, PostgreSQL array literals. */
    variable_indices: Column;
    ratio: Column;
    seed: Column;
    use_polish: Column;
    queue: Column;
    /** Empty if the cell has none. */
    client_args: Column;
    spread: Column;
  };
  /**
   * The `prompts` of the cells, factored: each part adds the text with index `floor(cell ÷ stride) mod
   * texts.length`, and the texts are joined by commas into a list. Unfactored prompts would be most of the
   * statement.
   */
  promptParts: { texts: string[]; stride: number }[];
  /** The list of a cell for which all texts are empty. */
  promptsWithoutAny: string;
  /**
   * Stores the `fingerprint` of each request. Cells with random seeds need none, because no two requests are
   * equal.
   */
  fingerprinted: boolean;
}

const splitText = (sql: Sql, joined: string) => sql`string_to_array(${joined}::text, ${cellSeparator}::text)`;

/**
 * Texts per call of `concat_ws`. PostgreSQL accepts 100 arguments. Empty groups become null, like empty
 * texts.
 */
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

/** Returns the `prompts` of the cell with a matrix index. */
function promptsOf(sql: Sql, { promptParts, promptsWithoutAny }: NewCells, matrixIndex: Fragment): Fragment {
  const texts = promptParts.map(({ texts, stride }) => {
    if (texts.length === 1) return sql`nullif(${texts[0]!}::text, '')`;
    // A sub-select splits the list once instead of once per cell.
    const list = sql`(select ${splitText(sql, texts.join(cellSeparator))})`;
    return sql`nullif(${list}[1 + ((${matrixIndex} / ${stride}::int) % ${texts.length}::int)], '')`;
  });
  return sql`coalesce('[' || ${joinTexts(sql, texts)} || ']', ${promptsWithoutAny}::text)::json`;
}

/** Returns the `fingerprint` of a cell, which is equal for equal requests to the image API. */
const fingerprintOf = (sql: Sql) =>
  sql`md5(concat_ws(e'\x1f', prompts::text, seed, use_polish, client_args::text, ratio))::uuid`;

/**
 * Builds the insert of cells. It follows a CTE `task` with the columns `id`, `first` (number of the first
 * cell) and `cell_revision`.
 *
 * @param matrixIndex row-major index of a cell in the matrix, from 0; `c.ordinal` counts the inserted cells
 * from 1
 */
export function insertCells(sql: Sql, cells: NewCells, matrixIndex: Fragment): Fragment {
  const { columns: c } = cells;
  const parts = (column: Column) => splitText(sql, "joined" in column ? column.joined : "");
  const value = (name: keyof NewCells["columns"]) => {
    const column = c[name];
    const shared = "same" in column ? column.same : null;
    return sql`coalesce(c.${sql(name)}, ${shared}::text)`;
  };
  const counter = sql`lpad(to_hex(${cells.legacy_counter}::int + (c.ordinal - 1)::int), 6, '0')`;
  const rows = sql`
    select
      task.id, ${cells.legacy_prefix}::text || ${counter}, task.first + c.ordinal - 1,
      ${value("variable_indices")}::int[], ${cells.variable_types_map}::text::json,
      ${cells.type_to_variable}::text::json, ${promptsOf(sql, cells, matrixIndex)} as prompts,
      ${value("ratio")} as ratio, ${value("seed")}::bigint as seed,
      ${value("use_polish")}::boolean as use_polish, ${value("queue")},
      nullif(${value("client_args")}, '')::json as client_args, ${value("spread")}::int, task.cell_revision
    from task, rows from (
      generate_series(1, ${cells.total}::int),
      unnest(${parts(c.variable_indices)}), unnest(${parts(c.ratio)}), unnest(${parts(c.seed)}),
      unnest(${parts(c.use_polish)}), unnest(${parts(c.queue)}), unnest(${parts(c.client_args)}),
      unnest(${parts(c.spread)})
    ) as c (ordinal, variable_indices, ratio, seed, use_polish, queue, client_args, spread)`;
  const fingerprintColumn = cells.fingerprinted ? sql`, fingerprint` : sql``;
  const source = cells.fingerprinted
    ? sql`select r.*, ${fingerprintOf(sql)} from (${rows} offset 0) as r`
    : rows;
  return sql`
    insert into subtasks (
      parent_task_id, legacy_id, cell, variable_indices, variable_types_map, type_to_variable, prompts, ratio,
      seed, use_polish, queue, client_args, spread, revision${fingerprintColumn}
    )
    ${source}`;
}
