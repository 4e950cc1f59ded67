/** `.env` files as python-dotenv and Docker Compose read them. */
import assert from "node:assert/strict";
import { parseEnvFile } from "../env_file.ts";
import { AppError } from "../errors.ts";

const cases: [string, string, Record<string, string>][] = [
  ["plain values", "A=1\nB=two words\n", { A: "1", B: "two words" }],
  ["CRLF, CR and no end of line", "A=1\r\nB=2\rC=3", { A: "1", B: "2", C: "3" }],
  ["a byte order mark", "\ufeffA=1\n", { A: "1" }],
  ["export", "export A=1\n  export  B=2\n", { A: "1", B: "2" }],
  ["spaces around the equals sign", "A = 1 \n", { A: "1" }],
  ["comments and empty lines", "# one\n\n  # two\nA=1 # three\nB=2#4\n", { A: "1", B: "2#4" }],
  ["a comment instead of a value", "A= # none\nB=#kept\nC=\n", { A: "", B: "#kept", C: "" }],
  ["double quotes", 'A="one # two"  # three\nB="x\\ny\\"z\\\\"\n', { A: "one # two", B: 'x\ny"z\\' }],
  ["single quotes", "A='one # two'\nB='a\\nb\\'c'\n", { A: "one # two", B: "a\\nb'c" }],
  ["values over several lines", "A=\"one\ntwo\"\nB='three\nfour'\n", { A: "one\ntwo", B: "three\nfour" }],
  ["a quoted name", "'A'=1\n", { A: "1" }],
  ["the last of two equal names", "A=1\nA=2\n", { A: "2" }],
  ["a name without a value", "A\nB=1\n", { B: "1" }],
  ["an equals sign in a value", "A=b=c==\n", { A: "b=c==" }],
  ["quotes inside a value", 'A=it\'s "fine"\n', { A: 'it\'s "fine"' }],
  ["a dollar sign alone", "A=p$w$$d\n", { A: "p$w$$d" }],
  ["references", "A=1\nB=${A}/${C:-3}/${NONE}\n", { A: "1", B: "1/3/" }],
  ["references to the environment", "A=${HOST}\nHOST=file\n", { A: "outside", HOST: "file" }],
  ["text of other languages", "A=图像\n", { A: "图像" }],
];
for (const [what, text, wanted] of cases) {
  Deno.test(`parseEnvFile() reads ${what}`, () => {
    assert.deepEqual(parseEnvFile(text, { HOST: "outside" }), wanted);
  });
}

const faulty: [string, string, number[]][] = [
  ["an unclosed double quote", 'A=1\nB="open\n', [2]],
  ["an unclosed single quote", "A='open\nB=1\n", [1]],
  ["text after a closing quote", 'A=1\n\nB="x" y\n', [3]],
  ["a line of words", "hello world\nA=1\nthis is no setting\n", [1, 3]],
  ["a line without a name", "=1\n", [1]],
];
for (const [what, text, lines] of faulty) {
  Deno.test(`parseEnvFile() names the number of ${what}`, () => {
    assert.throws(() => parseEnvFile(text, {}), (error) => {
      assert.ok(error instanceof AppError);
      assert.equal(error.exit, 78);
      assert.deepEqual(error.fields.map(({ field }) => field), lines.map((line) => `.env line ${line}`));
      return true;
    });
  });
}

Deno.test("parseEnvFile() shows no value of a line that it cannot read", () => {
  assert.throws(
    () => parseEnvFile('SECRET_KEY="hunter2\n', {}),
    (error) => !JSON.stringify((error as AppError).fields).includes("hunter2"),
  );
});
