/** Runs every shell block of docs/loading.md and looks for every line of output that the page shows. */
import assert from "node:assert/strict";
import { collapse, readBlocks } from "../docs/support/blocks.ts";
import { createDatabase } from "../support/database.ts";

const root = new URL("../../", import.meta.url);

Deno.test("the commands of docs/loading.md copy a MongoDB at rest and print the lines that it shows", async (t) => {
  await using database = await createDatabase();
  const archive = await Deno.makeTempDir({ prefix: "contactsheet-archive-" });
  const blocks = readBlocks(await Deno.readTextFile(new URL("docs/loading.md", root)));
  assert.ok(blocks.length >= 8);
  const env = {
    DATABASE_URL: database.url,
    SECRET_KEY: "0123456789abcdef0123456789abcdef",
    SOURCE: "dev/sample",
    ARCHIVE: archive,
    NO_COLOR: "1",
    PATH: `${Deno.execPath().replace(/\/[^/]*$/, "")}:${Deno.env.get("PATH")}`,
  };
  try {
    for (const { commands, outputLines } of blocks) {
      let output = "";
      for (const command of commands) {
        await t.step(command, async () => {
          const wanted = Number(/# exit (\d+)$/.exec(command)?.[1] ?? 0);
          const { code, stdout, stderr } = await new Deno.Command("sh", {
            args: ["-c", command],
            cwd: root.pathname,
            env,
            stdin: "null",
          }).output();
          const decoder = new TextDecoder();
          output += decoder.decode(stdout);
          assert.equal(code, wanted, decoder.decode(stderr));
        });
      }
      for (const line of outputLines) {
        assert.ok(collapse(output).includes(collapse(line)), `'${line}' is not in:\n${output}`);
      }
    }
    assert.match(await Deno.readTextFile(`${archive}/assessment.html`), /<svg/);
  } finally {
    await Deno.remove(archive, { recursive: true });
  }
});
