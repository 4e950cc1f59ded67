/** `deno task bench NAME [flags]`: each bench is a program of its own, so that none warms another up. */
import { AppError } from "../errors.ts";
import { print, runMain } from "../process.ts";

const folder = new URL("./", import.meta.url);

function listBenches(): string[] {
  return [...Deno.readDirSync(folder)].filter(({ isDirectory, name }) => isDirectory && name !== "peers")
    .map(({ name }) => name).sort();
}

async function main(): Promise<number> {
  const [name, ...flags] = Deno.args;
  const known = listBenches();
  if (name === undefined || name === "--help") {
    print(`usage: deno task bench NAME [flags]\n\nbenches: ${known.join(", ")}`);
    return name === undefined ? 64 : 0;
  }
  if (!known.includes(name)) {
    throw new AppError("usage", `running bench '${name}': wanted one of ${known.join(", ")}`);
  }
  const args = ["run", "-A", new URL(`${name}/main.ts`, folder).pathname, ...flags];
  return (await new Deno.Command(Deno.execPath(), { args }).spawn().status).code;
}

if (import.meta.main) await runMain(main);
