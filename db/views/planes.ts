/** All cells of a task as one byte each, in one scan. */
import type { PendingQuery, Row } from "postgres";
import type { Sql } from "../pg/connect.ts";
import type { Looker } from "../judging/ratings.ts";

/** What a plane's byte tells of each cell. */
export const planes = ["status", "rating", "n", "mine"] as const;
export type Plane = (typeof planes)[number];

/** Cells in no order; of each plane a byte for each of them. */
export interface PlaneRows {
  revision: string;
  /** One more than the greatest number of a cell. */
  length: number;
  cells: Uint32Array;
  bytes: Uint8Array[];
}

/** Bytes travel as letters from here on, so that none is a NUL or needs a backslash. */
const firstLetter = 0x80;

function letterOf(sql: Sql, plane: Plane, { hidesOthers }: Looker): PendingQuery<Row[]> {
  const shown = hidesOthers ? sql`r.stars is not null and s.rating_n > 0` : sql`s.rating_n > 0`;
  switch (plane) {
    case "status":
      return sql`case s.status when 'completed' then 3 when 'pending' then 1 when 'processing' then 2
        when 'failed' then 4 else 5 end`;
    case "rating":
      return sql`case when ${shown} then (20 * s.rating_sum + s.rating_n) / (2 * s.rating_n) else 0 end`;
    case "n":
      return sql`case when ${shown} then least(s.rating_n, 255) else 0 end`;
    case "mine":
      return sql`case when r.rater_id is null then 0 else coalesce(r.stars, 6) end`;
  }
}

function readNumbers(text: string): Uint32Array {
  const numbers: number[] = [];
  let number = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code !== 44) number = number * 10 + code - 48;
    else {
      numbers.push(number);
      number = 0;
    }
  }
  if (text !== "") numbers.push(number);
  return Uint32Array.from(numbers);
}

/**
 * Reads planes of a task's cells; with `since` of those alone that changed after that revision, and of all that are
 * being drawn: a claim moves no revision.
 *
 * @returns undefined for an id that no task has
 */
export async function readPlanes(
  sql: Sql,
  { taskId, wanted, since, looker }: {
    taskId: string;
    wanted: readonly Plane[];
    since: string | undefined;
    looker: Looker;
  },
): Promise<PlaneRows | undefined> {
  const needsOwn = wanted.includes("mine") ||
    looker.hidesOthers && (wanted.includes("rating") || wanted.includes("n"));
  const letters = wanted.map((plane) =>
    sql`, coalesce(string_agg(chr(${firstLetter}::int + ${letterOf(sql, plane, looker)}), ''), '') as ${
      sql(plane)
    }`
  ).reduce((all, part) => sql`${all} ${part}`);
  const [row] = await sql<({ revision: string; length: number; cells: string } & Record<Plane, string>)[]>`
    select t.revision::text, t.subtasks_total as length, a.*
    from tasks t, lateral (
      select coalesce(string_agg(s.cell::text, ','), '') as cells ${letters}
      from subtasks s
      ${
    needsOwn
      ? sql`left join ratings r on r.task_id = ${taskId} and r.subtask_id = s.id and r.version = s.attempt
          and r.rater_id = ${looker.id}`
      : sql``
  }
      where s.parent_task_id = ${taskId} and s.cell is not null
        and ${
    since === undefined ? sql`true` : sql`(s.revision > ${since}::bigint or s.status = 'processing')`
  }
    ) a
    where t.id = ${taskId}`;
  if (!row) return undefined;
  const cells = readNumbers(row.cells);
  const bytes = wanted.map((plane) => {
    const text = row[plane];
    return Uint8Array.from({ length: text.length }, (_, i) => text.charCodeAt(i) - firstLetter);
  });
  const length = cells.reduce((most, cell) => Math.max(most, cell + 1), row.length);
  return { revision: row.revision, length, cells, bytes };
}
