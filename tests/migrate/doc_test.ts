/** docs/migrating.md as it is written: every shell block runs, every line that is shown is found. */
import assert from "node:assert/strict";
import { createDatabase } from "../support/database.ts";

const root = new URL("../../", import.meta.url);

interface Block {
  commands: string[];
  shown: string[];
}

/** Shell blocks, each with the `text` block that follows it before the next one. */
function readBlocks(page: string): Block[] {
  const blocks: Block[] = [];
  for (const [, language, body] of page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)) {
    const lines = body!.trimEnd().split("\n");
    if (language === "sh") blocks.push({ commands: lines, shown: [] });
    if (language === "text") blocks.at(-1)!.shown.push(...lines);
  }
  return blocks;
}

Deno.test("docs/migrating.md walks a whole migration as it is written", async (t) => {
  await using database = await createDatabase();
  const archive = await Deno.makeTempDir({ prefix: "contactsheet-archive-" });
  const blocks = readBlocks(await Deno.readTextFile(new URL("docs/migrating.md", root)));
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
    for (const { commands, shown } of blocks) {
      let said = "";
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
          said += decoder.decode(stdout);
          assert.equal(code, wanted, decoder.decode(stderr));
        });
      }
      // How wide a column is depends on what stands in it.
      const plain = (text: string) => text.replace(/ +/g, " ");
      for (const line of shown) assert.ok(plain(said).includes(plain(line)), `'${line}' is not in:\n${said}`);
    }
    assert.match(await Deno.readTextFile(`${archive}/assessment.html`), /<svg/);
  } finally {
    await Deno.remove(archive, { recursive: true });
  }
});
