/** The command lines of the development tools and the benches. */
import { type Command, CommanderError, InvalidArgumentError } from "commander";
import { describeUsageError, refuseEmptyTexts } from "../arguments.ts";
import { AppError } from "../errors.ts";

/**
 * Parses options. Prints the help where it is requested.
 *
 * @returns the options, or undefined after printing the help
 * @throws AppError usage
 */
export function parseOptions<T extends object>(command: Command, args: readonly string[]): T | undefined {
  refuseEmptyTexts(command);
  command.allowExcessArguments(false).exitOverride().configureOutput({ writeErr: () => {} });
  try {
    return command.parse(args, { from: "user" }).opts<T>();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    const reason = describeUsageError(error.message);
    throw new AppError("usage", `reading the options: ${reason}; see '${command.name()} --help'`, {
      cause: error,
    });
  }
}

/** Returns a parser of an option's whole number. It throws InvalidArgumentError for any other text. */
export const parseWhole = (min: number, max: number) => (text: string): number => {
  const value = Number(text);
  if (text.trim() === "" || !Number.isInteger(value) || value < min || value > max) {
    throw new InvalidArgumentError(`expected an integer from ${min} to ${max}`);
  }
  return value;
};
