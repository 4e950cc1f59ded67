/** The Bidi Rule (RFC 5893) for the labels of a domain. The results are those of Python's idna package. */
import assert from "node:assert/strict";
import { encodeDomain } from "../../routes/v1/idna.ts";

const valid: [what: string, label: string, ascii: string][] = [
  ["a Hebrew label", "\u05d0\u05d1\u05d2", "xn--4dbcd"],
  ["an Arabic label with ASCII digits", "\u0627\u0628\u062a12", "xn--12-btdek"],
  ["an Arabic label with Arabic-Indic digits", "\u0627\u0628\u062a\u0661\u0662", "xn--mgbcg4tf"],
  ["an Arabic label with Extended Arabic-Indic digits", "\u0627\u0628\u062a\u06f1\u06f2", "xn--mgbcg01ffa"],
  ["a label that ends with a combining mark", "\u05d0\u05d1\u05b0", "xn--7cb7dd"],
  ["a Hebrew label with a hyphen inside", "\u05d0-\u05d1", "xn----zhce"],
  ["a label outside the basic plane", "\u{1e922}\u{1e923}", "xn--9d6hc"],
  ["hyphens at the second and third character", "\u{10900}--\u0781-\u0781", "xn------83fb32660b"],
];
for (const [what, label, ascii] of valid) {
  Deno.test(`encodeDomain() accepts ${what}`, () => assert.equal(encodeDomain(label), ascii));
}

const first = (label: string) => `First codepoint in label '${label}' must be directionality L, R or AL`;
const direction = (position: number, kind: string) =>
  `Invalid direction for codepoint at position ${position} in a ${kind} label`;

const invalid: [what: string, label: string, message: string][] = [
  ["a Latin letter in a Hebrew label", "\u05d0\u05d1a", direction(3, "right-to-left")],
  ["a Hebrew letter in a Latin label", "a\u05d0b", direction(2, "left-to-right")],
  ["a Phoenician letter in a Latin label", "a\u{10900}", direction(2, "left-to-right")],
  ["an Arabic-Indic digit in a Latin label", "a\u0662", direction(2, "left-to-right")],
  ["a digit before Hebrew letters", "1\u05d0\u05d1", first("1\u05d0\u05d1")],
  ["an Arabic-Indic digit before Hebrew letters", "\u0661\u05d0\u05d1", first("\u0661\u05d0\u05d1")],
  [
    "two types of digits in an Arabic label",
    "\u0627\u0628\u062a1\u0662",
    "Can not mix numeral types in a right-to-left label",
  ],
  [
    "a hyphen at the end, before a combining mark",
    "\u05d0\u05d1-\u05b0",
    "Label ends with illegal codepoint directionality",
  ],
];
for (const [what, label, message] of invalid) {
  Deno.test(`encodeDomain() rejects ${what}`, () => {
    assert.throws(() => encodeDomain(label), { message });
  });
}
