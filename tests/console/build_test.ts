/** The built console: sizes, texts in both languages, and how the API serves it. */
import assert from "node:assert/strict";
import { buildConsole, bundleOwnScripts } from "../../dev/console/build.ts";
import { createConsole } from "../../routes/console.ts";
import { createConsoleFiles } from "../../routes/console_files.ts";
import { startApi } from "../support/api.ts";

const root = new URL("../../", import.meta.url);
const config = { IMAGE_HOSTS: ["images.example"], IMAGE_API_URL: "", LUMINA_API_URL: "" };
const get = (path: string, headers: Record<string, string> = {}, method = "GET") =>
  new Request(`http://localhost${path}`, { headers, method });

await buildConsole();
const files = createConsoleFiles();
const html = (await files.loadPage())!.html;
const linked = (pattern: RegExp): string[] => [...html.matchAll(pattern)].map(([, name]) => name!);

/** Returns the script of a name and its compressed size. */
async function readScript(name: string): Promise<{ text: string; bytes: number }> {
  const file = await files.load(name);
  assert.ok(file, name);
  return { text: new TextDecoder().decode(file.bytes), bytes: file.gzip.length };
}

/** Collects the scripts that a script imports, itself included. @param dynamic also those that are loaded later */
async function collect(name: string, found: Map<string, number>, dynamic: boolean): Promise<void> {
  if (found.has(name)) return;
  const { text, bytes } = await readScript(name);
  found.set(name, bytes);
  const pattern = dynamic ? /(?:from|import)\s*\(?\s*"\.\/([^"]+)"/g : /(?:from|import)\s*"\.\/([^"]+)"/g;
  for (const [, to] of text.matchAll(pattern)) await collect(to!, found, dynamic);
}

const sum = (sizes: Map<string, number>) => [...sizes.values()].reduce((total, bytes) => total + bytes, 0);
const kilobyte = 1024;

/** Whether a script has the Chinese texts of a page. The bundler escapes characters beyond ASCII. */
const isChinese = (text: string): boolean => (text.match(/\\u[4-9][0-9A-F]{3}/gi) ?? []).length > 20;

Deno.test("the first page needs at most 45 KB of compressed scripts", async () => {
  const [main] = linked(/src="\/console\/assets\/([^"]+)"/g);
  const all = new Map<string, number>();
  await collect(main!, all, true);
  const first = new Map<string, number>();
  await collect(main!, first, false);
  const texts = await Promise.all(
    [...all.keys()].map(async (name) => [name, (await readScript(name)).text] as const),
  );
  const runsPage = texts.find(([name, text]) => name.startsWith("page-") && text.includes("runs-name"));
  await collect(runsPage![0], first, false);
  const inEnglish = texts.filter(([name, text]) => /^(common|runs)-/.test(name) && !isChinese(text));
  for (const [name] of inEnglish) first.set(name, all.get(name)!);
  assert.equal(inEnglish.length, 2);
  assert.ok(sum(first) <= 45 * kilobyte, `first page: ${sum(first)} bytes`);
});

/** Names of the parts of texts, such as `common`. */
const textNames = [...Deno.readDirSync(new URL("console/text/en/", root))].map(({ name }) =>
  name.replace(".ts", "")
);
const isText = (name: string) => textNames.some((text) => name.startsWith(`${text}-`));

Deno.test("our own code is at most 70 KB compressed without packages, and at most 84 KB with the texts of a language", async () => {
  const folder = await Deno.makeTempDir();
  await bundleOwnScripts(folder);
  const bytesOf = { code: 0, texts: 0 };
  for await (const { name } of Deno.readDir(folder)) {
    const bytes = await Deno.readFile(`${folder}/${name}`);
    if (isChinese(new TextDecoder().decode(bytes))) continue;
    const gzip = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
    bytesOf[isText(name) ? "texts" : "code"] += (await new Response(gzip).bytes()).length;
  }
  await Deno.remove(folder, { recursive: true });
  const { code, texts } = bytesOf;
  assert.ok(code > 10 * kilobyte && code <= 70 * kilobyte, `${code} bytes of code`);
  assert.ok(texts > kilobyte && code + texts <= 84 * kilobyte, `${code} bytes of code, ${texts} of texts`);
});

/** Lists the keys of texts at every depth. */
function keysOf(value: unknown, prefix = ""): string[] {
  if (typeof value !== "object" || value === null) return [`${prefix}: ${typeof value}`];
  return Object.entries(value).flatMap(([key, item]) => keysOf(item, `${prefix}.${key}`));
}

Deno.test("each text is there in both languages", async () => {
  // The modules for language and formats need `document`, which Deno does not have.
  Object.assign(globalThis, { document: { documentElement: {} } });
  const names = [...Deno.readDirSync(new URL("console/text/en/", root))].map(({ name }) => name);
  assert.ok(names.length >= 3);
  for (const name of names) {
    const [en, zh] = await Promise.all(
      ["en", "zh"].map(async (language) =>
        (await import(new URL(`console/text/${language}/${name}`, root).href)).text
      ),
    );
    assert.deepEqual(keysOf(zh).sort(), keysOf(en).sort(), name);
    const texts = (JSON.stringify(zh).match(/"[^"]*"(?=[,}\]])/g) ?? []).filter((text) =>
      /[a-z]{4}/i.test(text)
    );
    const untranslated = texts.filter((text) =>
      !/[\u4e00-\u9fff]/.test(text) && JSON.stringify(en).includes(text)
    );
    assert.ok(untranslated.length <= texts.length / 2 + 6, `${name}: ${untranslated}`);
  }
});

Deno.test("the page has a strict policy, and files with their digest never change", async () => {
  const answer = createConsole(config, files);
  const page = await answer(get("/console/runs/1?x=v0"));
  const policy = page.headers.get("content-security-policy")!;
  assert.equal(page.status, 200);
  assert.doesNotMatch(policy, /unsafe|\*|data:/);
  for (const part of ["default-src 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"]) {
    assert.ok(policy.includes(part), part);
  }
  assert.match(policy, /img-src 'self' blob: https:\/\/images\.example;/);
  assert.equal(page.headers.get("referrer-policy"), "no-referrer");
  assert.equal(page.headers.get("cache-control"), "no-cache");
  const again = await answer(get("/console", { "if-none-match": page.headers.get("etag")! }));
  assert.equal(again.status, 304);
  assert.doesNotMatch(html, /<script(?![^>]*src=)|\sstyle=|\son\w+=/);

  const [main] = linked(/src="([^"]+)"/g);
  const script = await answer(get(main!, { "accept-encoding": "gzip, br" }));
  assert.match(script.headers.get("cache-control")!, /immutable/);
  assert.equal(script.headers.get("content-encoding"), "gzip");
  const plain = await answer(get(main!, { "accept-encoding": "gzip;q=0" }));
  assert.equal(plain.headers.get("content-encoding"), null);
  for (const path of ["none-12345678.js", "../index.html", "..%2f..%2fdeno.json", "", "main.js"]) {
    assert.equal(
      (await answer(get(`/console/assets/${path}`))).status === 200 && !path.includes(".."),
      false,
      path,
    );
  }
  assert.equal((await answer(get("/console", {}, "POST"))).status, 405);
  assert.equal((await answer(get("/console", {}, "HEAD"))).body, null);
});

Deno.test("without a build the page says what to run, with 503", async () => {
  const folder = await Deno.makeTempDir();
  const answer = createConsole(config, createConsoleFiles(new URL(`file://${folder}/`)));
  const page = await answer(get("/console"));
  assert.equal(page.status, 503);
  assert.match(await page.text(), /deno task console/);
  await Deno.remove(folder);
});

Deno.test("the API serves the console and logs it without its address", async () => {
  await using api = await startApi();
  const response = await fetch(`${api.origin}/console/shared?x=1`);
  assert.equal(response.status, 200);
  assert.match(await response.text(), /<div id="app">/);
  const line = api.lines.find(({ msg }) => msg === "request");
  assert.equal(line?.route, "/console");
});

Deno.test("building again from the same sources does nothing", async () => {
  assert.equal((await buildConsole()).isUnchanged, true);
});

Deno.test("no page styles a class of another: all styles share one sheet", async () => {
  const owners = new Map<string, Set<string>>();
  const walk = async (folder: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
      if (isDirectory && name !== "built") await walk(`${folder}${name}/`);
      if (!name.endsWith(".css")) continue;
      const css = (await Deno.readTextFile(new URL(folder + name, root))).replace(/\/\*[\s\S]*?\*\//g, "");
      // A rule belongs to the first class of its selector; later ones may refine the kit inside a page.
      for (const [, selectors] of css.matchAll(/([^{}]+)\{/g)) {
        for (const selector of selectors!.split(",")) {
          const first = /^\s*\.([\w-]+)/.exec(selector)?.[1];
          if (first !== undefined) owners.set(first, (owners.get(first) ?? new Set()).add(folder));
        }
      }
    }
  };
  await walk("console/");
  const shared = [...owners].filter(([, folders]) => folders.size > 1).map((
    [name, folders],
  ) => [name, ...folders]);
  assert.deepEqual(shared, []);
});
