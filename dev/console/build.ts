/** Builds the console: bundles its scripts and styles, names them by their content, and compresses them. */
import { AppError } from "../../errors.ts";

const root = new URL("../../", import.meta.url);
const sourceFolder = new URL("console/", root);
const builtFolder = new URL("console/built/", root);
const assetFolder = new URL("assets/", builtFolder);
/** Holds the digest of the sources of the last build. */
const digestFile = new URL("digest", builtFolder);

/** Time for which files of earlier builds are kept, because an open page may still load them. */
const keptMs = 24 * 3600 * 1000;

const encoder = new TextEncoder();

async function digestOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** Lists the console's sources, sorted, relative to its folder. */
async function listSources(folder = sourceFolder, prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (prefix === "" && name === "built") continue;
    if (isDirectory) found.push(...await listSources(new URL(`${name}/`, folder), `${prefix}${name}/`));
    else found.push(prefix + name);
  }
  return found.sort();
}

/** Returns a digest of all that the build depends on. */
async function digestSources(sources: string[]): Promise<string> {
  const urls = [
    ...sources.map((path) => new URL(path, sourceFolder)),
    ...["deno.json", "deno.lock", "dev/console/build.ts"].map((path) => new URL(path, root)),
  ];
  const digests = await Promise.all(urls.map(async (url) => await digestOf(await Deno.readFile(url))));
  return await digestOf(encoder.encode([...sources, ...digests].join("\n")));
}

async function readIfThere(url: URL): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(url);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Runs `deno bundle`. @throws AppError internal with its output */
async function bundle(args: string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--platform", "browser", "--minify", ...args],
    cwd: root.pathname,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (code !== 0) {
    throw new AppError("internal", `building the console:\n${new TextDecoder().decode(stderr).trim()}`);
  }
}

/** Packages that the console imports. */
const packages = [
  "preact",
  "preact/hooks",
  "preact/jsx-runtime",
  "@preact/signals",
  "openapi-fetch",
  "idb",
];

/** Bundles our own scripts into `folder` without the packages that they import, to measure them. */
export async function bundleOwnScripts(folder: string): Promise<void> {
  const entry = new URL("main.tsx", sourceFolder).pathname;
  const externals = packages.flatMap((name) => ["--external", name]);
  await bundle(["--code-splitting", ...externals, "--outdir", folder, entry]);
}

/** Bundles scripts and styles into `folder`: `main.js` and its parts, and `styles.css`. */
async function bundleInto(folder: string, sources: string[]): Promise<void> {
  const styles = sources.filter((path) => path.endsWith(".css"));
  // Tokens and base styles come first, so that a page's styles replace them.
  const isBase = (path: string) => path.startsWith("kit/");
  const ordered = [...styles.filter(isBase), ...styles.filter((path) => !isBase(path))];
  const imports = ordered.map((path) => `@import "${new URL(path, sourceFolder).pathname}";\n`);
  await Deno.writeTextFile(`${folder}/styles.css`, imports.join(""));
  const scripts = ["--code-splitting", "--outdir", `${folder}/out`];
  await bundle([...scripts, new URL("main.tsx", sourceFolder).pathname]);
  await bundle(["--outdir", `${folder}/out`, `${folder}/styles.css`]);
}

async function compress(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"))).bytes();
}

/** Replaces a file at once, so that a reader never sees a part of it. */
async function writeWhole(url: URL, bytes: Uint8Array): Promise<void> {
  const temporary = `${url.pathname}.${crypto.randomUUID()}`;
  await Deno.writeFile(temporary, bytes);
  await Deno.rename(temporary, url);
}

/** A built file, by its name without the digest. */
type Names = Map<string, string>;

/** Writes one file with the digest in its name, and its compressed form. */
async function writeAsset(names: Names, name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const dot = name.lastIndexOf(".");
  // The bundler has put a digest into the names of all parts, since scripts import them by name.
  const isNamed = /-[A-Z0-9]{8}\.js$/.test(name);
  const digest = (await digestOf(bytes)).slice(0, 12);
  const named = isNamed ? name : `${name.slice(0, dot)}-${digest}${name.slice(dot)}`;
  names.set(name, named);
  await writeWhole(new URL(named, assetFolder), bytes);
  await writeWhole(new URL(`${named}.gz`, assetFolder), await compress(bytes));
}

/** Lists the parts that a script imports at once. */
const staticImports = (script: string): string[] =>
  [...script.matchAll(/(?:from|import)\s*"\.\/([^"]+)"/g)].map(([, name]) => name!);

async function renderPage(names: Names): Promise<string> {
  const template = await Deno.readTextFile(new URL("index.html", sourceFolder));
  const main = await Deno.readTextFile(new URL(names.get("main.js")!, assetFolder));
  const preloads = staticImports(main).map((name) =>
    `<link rel="modulepreload" href="/console/assets/${name}">`
  );
  return template
    .replace("<!-- preloads -->", preloads.join("\n"))
    .replace(/\{\{([a-z.]+)\}\}/g, (_, name) => `/console/assets/${names.get(name)}`);
}

/** Removes files of builds that no open page uses any more. */
async function removeOld(names: Names): Promise<void> {
  const current = new Set([...names.values()].flatMap((name) => [name, `${name}.gz`]));
  for await (const { name } of Deno.readDir(assetFolder)) {
    if (current.has(name)) continue;
    const url = new URL(name, assetFolder);
    const { mtime } = await Deno.stat(url);
    if (Date.now() - (mtime?.getTime() ?? 0) > keptMs) await Deno.remove(url);
  }
}

/** Times of a build. */
export interface Built {
  /** Whether the files of an earlier build were still right. */
  isUnchanged: boolean;
  milliseconds: number;
}

/**
 * Builds the console into `console/built`, unless it has been built from the same sources.
 *
 * @throws AppError internal with the bundler's message
 */
export async function buildConsole(): Promise<Built> {
  const startedAt = performance.now();
  const sources = await listSources();
  const digest = await digestSources(sources);
  const isUnchanged = await readIfThere(digestFile) === digest;
  if (!isUnchanged) {
    await Deno.mkdir(assetFolder, { recursive: true });
    const folder = await Deno.makeTempDir({ dir: builtFolder.pathname, prefix: "build-" });
    try {
      await bundleInto(folder, sources);
      const names: Names = new Map();
      for await (const { name } of Deno.readDir(`${folder}/out`)) {
        await writeAsset(names, name, await Deno.readFile(`${folder}/out/${name}`));
      }
      await writeAsset(names, "icon.svg", await Deno.readFile(new URL("icon.svg", sourceFolder)));
      await writeWhole(new URL("index.html", builtFolder), encoder.encode(await renderPage(names)));
      await removeOld(names);
      await writeWhole(digestFile, encoder.encode(digest));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
  return { isUnchanged, milliseconds: Math.round(performance.now() - startedAt) };
}
