/**
 * Writes the deno.json of the image: only the packages that the programs import, and no tasks. It runs in the first stage of
 * deploy/docker/Dockerfile, in the folder of the sources, and imports nothing.
 */

async function readSources(folder: string): Promise<string> {
  let text = "";
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (name === "node_modules" || name.startsWith(".")) continue;
    if (isDirectory) text += await readSources(`${folder}/${name}`);
    else if (name.endsWith(".ts")) text += await Deno.readTextFile(`${folder}/${name}`);
  }
  return text;
}

/** Returns the names of an import map that the sources use. */
export function findUsed(names: string[], sources: string): string[] {
  return names.filter((name) =>
    sources.includes(`"${name}`) &&
    (name.endsWith("/") || new RegExp(`"${RegExp.escape(name)}["/]`).test(sources))
  );
}

if (import.meta.main) {
  const config = JSON.parse(await Deno.readTextFile("deno.json"));
  const used = findUsed(Object.keys(config.imports), await readSources("."));
  config.imports = Object.fromEntries(used.map((name) => [name, config.imports[name]]));
  for (const name of ["workspace", "tasks", "allowScripts", "fmt", "lint"]) delete config[name];
  await Deno.writeTextFile("deno.json", JSON.stringify(config, null, 2));
}
