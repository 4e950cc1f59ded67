/** Checks the list of a hundred edge cases against the tests that cover them. */
import assert from "node:assert/strict";

/** Numbers of cases, a test file, and words from the test's name or table row. */
export type Proof = [numbers: number[], file: string, words: string];

/** Checks that each of the hundred cases has an existing test, or a reason why it needs none. */
export async function checkCoverage(
  proofs: Proof[],
  elsewhere: [numbers: number[], why: string][],
): Promise<void> {
  for (const [numbers, file, words] of proofs) {
    const source = await Deno.readTextFile(new URL(`../${file}`, import.meta.url));
    assert.ok(source.includes(words), `${numbers}: '${words}' is not in ${file}`);
  }
  const covered = new Set([...proofs, ...elsewhere].flatMap(([numbers]) => numbers));
  const missing = Array.from({ length: 100 }, (_, i) => i + 1).filter((number) => !covered.has(number));
  assert.deepEqual(missing, []);
}
