/** What the command lines of the programs share. */
import { type Command, InvalidArgumentError } from "commander";

function parseText(text: string): string {
  if (text === "") throw new InvalidArgumentError("wanted a text that is not empty");
  return text;
}

/** Makes a command and its subcommands refuse empty texts wherever they take any text. */
export function refuseEmptyTexts(command: Command): void {
  for (const option of command.options) {
    if (option.required && option.parseArg === undefined) option.argParser(parseText);
  }
  for (const argument of command.registeredArguments) {
    if (argument.parseArg === undefined) argument.argParser(parseText);
  }
  command.commands.forEach(refuseEmptyTexts);
}

/** Returns a message of Commander without its prefix and without empty quotes. */
export const describeUsageError = (message: string): string =>
  message.replace(/^error: /, "")
    .replace(/ argument '' is invalid/, " has an empty argument")
    .replace(/^command-argument value '' is invalid for argument ('[^']*')/, "argument $1 is empty")
    .replace(/ but got (\d+): (?:|.*, )(?:, .*)?\.$/, " but got $1")
    .replace(/^unknown command ''/, "the command is empty");
