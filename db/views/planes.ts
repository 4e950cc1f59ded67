/** Planes: one byte per cell for a whole task, read in one scan. */
import type { PendingQuery, Row } from "postgres";
import type { Sql } from "../pg/connect.ts";
import type { Viewer } from "../judging/ratings.ts";

/** The values that planes can hold. */
export const planes = ["status", "rating", "n", "mine", "spread"] as const;
export type Plane = (typeof planes)[number];

/** Cells in no order, with one byte per plane and cell. */
export interface PlaneRows {
  revision: string;
  /** The largest cell number plus one. */
  length: number;
  cells: Uint32Array;
  bytes: Uint8Array[];
}

/**
 * Code point of the byte 0. Bytes travel as characters from here on: none of them is NUL or needs escaping.
 */
const firstLetter = 0x80;

function byteOf(sql: Sql, plane: Plane, { hidesOthers }: Viewer): PendingQuery<Row[]> {
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
    case "spread":
      return sql`case when ${shown} and s.rating_n > 1 then coalesce(d.spread, 0) else 0 end`;
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
 * Reads planes of a task. With `since`, only the cells that changed after that revision, and all running
 * cells, because a claim does not raise the revision.
 *
 * @returns undefined if no task has the id
 */
export async function readPlanes(
  sql: Sql,
  { taskId, wanted, since, viewer }: {
    taskId: string;
    wanted: readonly Plane[];
    since: string | undefined;
    viewer: Viewer;
  },
): Promise<PlaneRows | undefined> {
  const needsOwn = wanted.includes("mine") ||
    viewer.hidesOthers && wanted.some((plane) => plane !== "status");
  const columns = wanted.map((plane) => {
    const letter = sql`chr(${firstLetter}::int + ${byteOf(sql, plane, viewer)})`;
    return sql`, coalesce(string_agg(${letter}, ''), '') as ${sql(plane)}`;
  }).reduce((all, part) => sql`${all} ${part}`);
  const ownRatings = needsOwn
    ? sql`left join ratings r on r.task_id = ${taskId} and r.subtask_id = s.id and r.version = s.attempt
          and r.rater_id = ${viewer.id}`
    : sql``;
  const deviations = wanted.includes("spread")
    ? sql`left join (
          select subtask_id, version, 1 + round(10 * stddev_pop(stars))::int as spread
          from ratings where task_id = ${taskId} and stars is not null group by subtask_id, version
        ) d on d.subtask_id = s.id and d.version = s.attempt`
    : sql``;
  const hasChanged = since === undefined
    ? sql`true`
    : sql`(s.revision > ${since}::bigint or s.status = 'processing')`;
  const [row] = await sql<({ revision: string; length: number; cells: string } & Record<Plane, string>)[]>`
    select t.revision::text, t.subtasks_total as length, a.*
    from tasks t, lateral (
      select coalesce(string_agg(s.cell::text, ','), '') as cells ${columns}
      from subtasks s
      ${ownRatings}
      ${deviations}
      where s.parent_task_id = ${taskId} and s.cell is not null and ${hasChanged}
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
