/** The built files of the console, held in memory until the next build. */

/** A file with its compressed form. */
export interface ConsoleFile {
  contentType: string;
  bytes: Uint8Array<ArrayBuffer>;
  gzip: Uint8Array<ArrayBuffer>;
}

const contentTypes: Record<string, string> = {
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

const builtFolder = new URL("../console/built/", import.meta.url);

export interface ConsoleFiles {
  /** Returns the page's HTML and its ETag; undefined if the console was not built. */
  loadPage(): Promise<{ html: string; etag: string } | undefined>;
  /** Returns a file by its name; undefined if there is none. */
  load(name: string): Promise<ConsoleFile | undefined>;
}

async function readPage(folder: URL): Promise<{ html: string; etag: string } | undefined> {
  try {
    const html = await Deno.readTextFile(new URL("index.html", folder));
    const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(html));
    return { html, etag: `"${new Uint8Array(hash).slice(0, 12).toHex()}"` };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The bundler and the build name all files like this. */
const namePattern = /^[A-Za-z0-9_]+-[A-Za-z0-9]+\.(css|js|svg)$/;

async function readFile(folder: URL, name: string): Promise<ConsoleFile | undefined> {
  const [, extension] = namePattern.exec(name) ?? [];
  if (extension === undefined) return undefined;
  try {
    const url = new URL(`assets/${name}`, folder);
    const [bytes, gzip] = await Promise.all([
      Deno.readFile(url),
      Deno.readFile(new URL(`${url.href}.gz`)),
    ]);
    return { contentType: contentTypes[extension]!, bytes, gzip };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Maximum number of files in memory. A build has about 40; development makes new ones with each change. */
const filesMax = 200;

/** Creates the files of a folder. Each file is read once; the page is small and read again for each request. */
export function createConsoleFiles(folder = builtFolder): ConsoleFiles {
  const files = new Map<string, Promise<ConsoleFile | undefined>>();
  return {
    loadPage: () => readPage(folder),
    async load(name) {
      const loading = files.get(name) ?? readFile(folder, name);
      const file = await loading;
      // A name that is not there may come with the next build.
      if (file) files.set(name, loading);
      if (files.size > filesMax) files.delete(files.keys().next().value!);
      return file;
    },
  };
}
