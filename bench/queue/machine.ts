/** The present speed of this machine, as a lower bound for the other figures. */
import type { Pool } from "../../db/pg/connect.ts";
import { median, quantile, rangeOf, type Report } from "../report.ts";
import { axisLengths, type Harness, submit } from "./harness.ts";

const commits = 200;

/**
 * Inserts the rows of a submitted task again, from a table into the emptied table of subtasks.
 *
 * @returns milliseconds
 */
export async function timeBareInsert(sql: Pool, task: string): Promise<number> {
  await sql`create table ready as select * from subtasks where parent_task_id = ${task}`;
  await sql`truncate subtasks cascade`;
  await sql`checkpoint`;
  const started = performance.now();
  await sql`insert into subtasks select * from ready`;
  return performance.now() - started;
}

/** Reports the duration of a durable commit of one row and of inserting the rows of a large submit from a table. */
export async function measureMachine(
  harness: Harness,
  report: Report,
  { cells, rounds }: { cells: number; rounds: number },
): Promise<void> {
  await using database = await harness.createDatabase();
  const { sql } = database;
  await sql`create table floor (id integer)`;
  const times: number[] = [];
  for (let i = 0; i < commits; i++) {
    const started = performance.now();
    await sql`insert into floor values (${i})`;
    times.push(performance.now() - started);
  }
  report({ what: "a durable commit of one row, p50", value: quantile(times, 0.5), unit: "ms" });
  report({ what: "a durable commit of one row, p99", value: quantile(times, 0.99), unit: "ms" });
  const task = await submit(database, axisLengths(cells));
  await sql`create table cells as select * from subtasks where parent_task_id = ${task}`;
  const inserts: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await sql`delete from subtasks where parent_task_id = ${task}`;
    const started = performance.now();
    await sql`insert into subtasks select * from cells`;
    inserts.push(performance.now() - started);
  }
  report({
    what: `${cells.toLocaleString("en")} ready cells inserted from a table`,
    value: median(inserts),
    unit: "ms",
    spread: rangeOf(inserts),
  });
}
