/** What this machine gives anybody just now: the floor under every other figure. */
import { median, rank, type Report, spreadOf } from "./report.ts";
import { axesOf, type Stand, submit } from "./stand.ts";

const commits = 200;

/** Reports a durable commit of one row, and the same rows as a big submit's inserted from a table. */
export async function measureMachine(
  stand: Stand,
  report: Report,
  { cells, rounds }: { cells: number; rounds: number },
): Promise<void> {
  await using base = await stand.openBase();
  const { sql } = base;
  await sql`create table floor (id integer)`;
  const times: number[] = [];
  for (let i = 0; i < commits; i++) {
    const started = performance.now();
    await sql`insert into floor values (${i})`;
    times.push(performance.now() - started);
  }
  report({ what: "a durable commit of one row, p50", value: rank(times, 0.5), unit: "ms" });
  report({ what: "a durable commit of one row, p99", value: rank(times, 0.99), unit: "ms" });
  const task = await submit(base, axesOf(cells));
  await sql`create table cells as select * from subtasks where parent_task_id = ${task}`;
  const inserts: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await sql`delete from subtasks where parent_task_id = ${task}`;
    const started = performance.now();
    await sql`insert into subtasks select * from cells`;
    inserts.push(performance.now() - started);
  }
  report({
    what: `${cells.toLocaleString("en")} ready cells inserted from a table by PostgreSQL itself`,
    value: median(inserts),
    unit: "ms",
    spread: spreadOf(inserts),
  });
}
