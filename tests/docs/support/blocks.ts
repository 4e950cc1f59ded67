/** The shell blocks of a document, with the output that it shows for them. */

/** A shell block, the output lines that the document shows for it, and its section. */
export interface Block {
  commands: string[];
  outputLines: string[];
  /** First line of the section, without `## `. */
  section: string;
}

/** Returns the blocks marked `sh`, each with the blocks marked `text` that follow it. */
export function readBlocks(page: string): Block[] {
  const blocks: Block[] = [];
  for (const section of page.split(/^## /m)) {
    for (const [, language, body] of section.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)) {
      const lines = body!.trimEnd().split("\n");
      if (language === "sh") {
        blocks.push({ commands: lines, outputLines: [], section: section.split("\n")[0]! });
      }
      if (language === "text") blocks.at(-1)!.outputLines.push(...lines);
    }
  }
  return blocks;
}

/** The width of columns depends on their content, so runs of spaces are compared as one space. */
export const collapse = (text: string): string => text.replace(/ +/g, " ");
