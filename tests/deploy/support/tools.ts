/** Programs from Debian's packages that tests run: nginx, HAProxy, Prometheus' promtool. */

const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];

/** Returns the path of an installed program, or undefined. */
export function findTool(name: string): string | undefined {
  for (const folder of folders) {
    try {
      if (Deno.statSync(`${folder}/${name}`).isFile) return `${folder}/${name}`;
    } catch {
      // It is not in this folder.
    }
  }
}

/**
 * Returns the options of a test that needs a program. Without the program, the test is ignored with its reason.
 *
 * @param packageName the Debian package that has the program
 */
export function needs(name: string, packageName = name): { ignore: boolean } {
  const ignore = findTool(name) === undefined;
  if (ignore) console.log(`ignored: ${name} is not installed: apt-get install ${packageName}`);
  return { ignore };
}

/** Output of a finished program. */
export interface Finished {
  code: number;
  out: string;
  err: string;
}

/** Runs a program to its end. */
export async function runTool(
  name: string,
  args: string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<Finished> {
  const path = findTool(name);
  if (path === undefined) throw new Error(`${name} is not installed`);
  const { code, stdout, stderr } = await new Deno.Command(path, { args, stdin: "null", ...options }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}
