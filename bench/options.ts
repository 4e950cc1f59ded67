/** Parsers of option values that several benches use. */
import { InvalidArgumentError } from "commander";

/** Parses a number above 0. */
export function parsePositive(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError("expected a number above 0");
  return value;
}

/** Parses an integer of at least 0. */
export function parseCount(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isSafeInteger(value) || value < 0) {
    throw new InvalidArgumentError("expected an integer of at least 0");
  }
  return value;
}

/** Returns a parser of known names, separated by commas. */
export const parseNames = <Name extends string>(names: readonly Name[]) => (text: string): Name[] => {
  const chosen = text.split(",").map((name) => name.trim());
  const unknown = chosen.find((name) => !names.includes(name as Name));
  if (unknown !== undefined) throw new InvalidArgumentError(`'${unknown}': expected ${names.join(", ")}`);
  return chosen as Name[];
};
