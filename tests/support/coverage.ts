/** The design's list of attacks against the tests that show them. */
import assert from "node:assert/strict";

/** A test file, and words of the test or of its row. */
export type Proof = [numbers: number[], file: string, words: string];

/** Every one of the hundred cases has a test that is there, or a reason why it cannot be met. */
export async function checkCoverage(
  proofs: Proof[],
  elsewhere: [numbers: number[], why: string][],
): Promise<void> {
  for (const [numbers, file, words] of proofs) {
    const source = await Deno.readTextFile(new URL(`../${file}`, import.meta.url));
    assert.ok(source.includes(words), `${numbers}: '${words}' stands in ${file}`);
  }
  const met = new Set([...proofs, ...elsewhere].flatMap(([numbers]) => numbers));
  const missing = Array.from({ length: 100 }, (_, i) => i + 1).filter((number) => !met.has(number));
  assert.deepEqual(missing, []);
}
