/** The log on stderr: whatever ends the program, no line is missing, and the lines keep their order. */
import assert from "node:assert/strict";

const log = new URL("../log.ts", import.meta.url).href;

const ends: Record<string, string> = {
  "its end": "",
  "Deno.exit": "Deno.exit(3);",
  "an uncaught error": 'throw new Error("x");',
  "an unhandled rejection": 'Promise.reject(new Error("x")); setTimeout(() => {}, 500);',
};

for (const [end, code] of Object.entries(ends)) {
  Deno.test(`all lines are written before ${end}`, async () => {
    const program = `
      import { createLog } from "${log}";
      const log = createLog("info");
      log.info("one");
      log.warn("two");
      log.debug("not this one");
      for (let i = 0; i < 1000; i++) log.info("many", { i });
      ${code}`;
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "-A", `data:application/typescript,${encodeURIComponent(program)}`],
      stderr: "piped",
    });
    const { stderr } = await command.output();
    const lines = new TextDecoder().decode(stderr).split("\n").filter((line) => line.startsWith("{"));
    const messages = lines.map((line) => JSON.parse(line)).map(({ msg, i }) => i ?? msg);
    assert.deepEqual(messages, ["one", "two", ...Array(1000).keys()]);
  });
}
