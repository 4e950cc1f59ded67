/** The documents, and what they name: commands, flags and links. */

/** The root of the project. */
export const root = new URL("../../../", import.meta.url);

/** Every document: path from the root, and text. */
export const pages: ReadonlyMap<string, string> = new Map(
  [
    ...["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"],
    ...[...Deno.readDirSync(new URL("docs/", root))].filter(({ name }) => name.endsWith(".md"))
      .map(({ name }) => `docs/${name}`).sort(),
  ].map((name) => [name, Deno.readTextFileSync(new URL(name, root))]),
);

/** Returns the text of a document. */
export function readPage(name: string): string {
  const text = pages.get(name);
  if (text === undefined) throw new Error(`no document ${name}`);
  return text;
}

/** A command or a flag as a document writes it, without `deno task`. */
export interface Written {
  page: string;
  line: number;
  /** For example `worker pause TASK` or `--days N`. */
  text: string;
}

/** Commands of other programs, whose flags are not ours. */
const foreign = /^(mongo\w+|deno test|deno fmt|apt-get)\b/;

/** Shortens a command: `npx -y deno@2.9.6 task demo` and `deno task demo` to `demo`, `… data verify` to `migrate data verify`. */
const shorten = (text: string): string =>
  text.replace(/\s+#.*$/, "").replace(/^(npx -y deno@\S+|deno) task ?/, "").replace(
    /^… (?=data )/,
    "migrate ",
  )
    .replace(/^(?=data \w)/, "migrate ").replace(/ …$/, "").trim();

const isCommand = (text: string): boolean =>
  !foreign.test(text) &&
  (/^(npx -y deno@\S+|deno) task\b|^… data |^(worker:|worker |bench |migrate |data |--)\w|^\w+ --\w/.test(
    text,
  ));

/** Commands of code blocks end at a comment or at a wide gap. */
const readCodeLine = (line: string): string => line.trim().split(/ {2,}/)[0]!;

/** Lists the commands and flags that a document names, in order. Blocks marked `sh` are omitted if `skipsShell` is set. */
export function listWritten(page: string, { skipsShell = false } = {}): Written[] {
  const found: Written[] = [];
  let fence: string | undefined;
  const add = (text: string, line: number) => {
    if (isCommand(text)) found.push({ page, line, text: shorten(text) });
  };
  readPage(page).split("\n").forEach((line, index) => {
    if (line.startsWith("```")) {
      fence = fence === undefined ? line.slice(3) : undefined;
    } else if (fence !== undefined) {
      const text = readCodeLine(line);
      if (/^(deno|npx) /.test(text) && !(skipsShell && fence === "sh")) add(text, index + 1);
    } else if (/^ {4}(deno|npx) /.test(line)) add(readCodeLine(line), index + 1);
    else for (const [, text] of line.matchAll(/`([^`]+)`/g)) add(text!, index + 1);
  });
  return found;
}

/** Returns the GitHub anchors of a document's headings. */
export function listAnchors(page: string): string[] {
  return [...readPage(page).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim().replaceAll(" ", "-")
  );
}
