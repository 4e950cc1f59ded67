/** docs/scaling.md has the table of the cost model, every named fan-out and a call for every distributed table. */
import assert from "node:assert/strict";
import { measured, scaleTable } from "../../dev/scaling.ts";
import { checkMs } from "../../db/queue/times.ts";
import { taskTables } from "../../migrate/partition/tables.ts";
import { fanOuts } from "../operations/support/fan_outs.ts";
import { readText } from "./support/translations.ts";

for (const path of ["docs/scaling.md", "docs/zh/scaling.md"]) {
  const page = await readText(path);
  Deno.test(`${path} has the table that the model computes from the measured figures`, () => {
    assert.ok(page.includes(scaleTable().join("\n")), scaleTable().join("\n"));
    for (const figure of Object.values(measured)) {
      assert.ok(page.includes(figure.toLocaleString("en")), `${figure}`);
    }
    assert.equal(checkMs, 2_000);
  });

  Deno.test(`${path} lists the statements of the distribution test, and distributes each table by its task`, () => {
    const listed = [...page.matchAll(/^\| ([a-z][a-z -]+) \| `(db\/[^`]+)` \|/gm)].map((
      [, name, file],
    ) => [name, file]);
    assert.deepEqual(listed, fanOuts.map(({ name, file }) => [name, file]));
    for (const { name, key } of taskTables) {
      assert.ok(page.includes(`select create_distributed_table('${name}', '${key}'`), name);
    }
  });
}
