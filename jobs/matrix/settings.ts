/** The settings that the expansion uses: `concurrency`, and `client_args` with the tags that add to it. */
import { AppError, describeValue } from "../../errors.ts";
import { formatFloat, int, type Json, JsonNumber, type JsonObject, stringifyJson } from "../../json.ts";
import type { Axis, TagUse } from "./axes.ts";
import { isObject, isTruthy, readInteger, readNumber } from "./values.ts";
import { quoted } from "../../phrases.ts";

const concurrencyMax = 50;

/**
 * Returns the settings in their stored form, with `concurrency` clamped to 1 to 50.
 *
 * @throws AppError invalid_request if `concurrency` is present and no number
 */
export function storeSettings(settings: JsonObject): JsonObject {
  const given = settings.get("concurrency");
  if (given === undefined) return settings;
  if (!(given instanceof JsonNumber) && typeof given !== "boolean") {
    const shown = quoted(describeValue(given));
    throw new AppError(
      "invalid_request",
      `expanding the task: settings.concurrency ${shown} is no number`,
      {
        fields: [{
          field: "settings.concurrency",
          value: given,
          wanted: `a number from 1 to ${concurrencyMax}`,
        }],
      },
    );
  }
  const wanted = given instanceof JsonNumber ? given.value : Number(given);
  const clamped = given instanceof JsonNumber && wanted >= 1 && wanted <= concurrencyMax
    ? given
    : int(Math.max(1, Math.min(concurrencyMax, wanted)));
  return new Map(settings).set("concurrency", clamped);
}

/** Keys that are never passed to the image API, because they could redirect it or its token. */
const keysRefused = new Set(["url", "x-token"]);

type Reader = (value: Json | undefined) => string | undefined;

/** Parameters that a variable can set, in the order in which they are added. */
const parameters: [type: string, read: Reader][] = [
  ["ckpt_name", (value) => value !== undefined && isTruthy(value) ? stringifyJson(value) : undefined],
  ["steps", (value) => {
    const steps = readInteger(value);
    return steps !== undefined && steps >= 1n && steps <= 50n ? String(steps) : undefined;
  }],
  ["cfg", (value) => {
    const cfg = readNumber(value);
    return cfg !== undefined && cfg >= 0.1 && cfg <= 10 ? formatFloat(cfg) : undefined;
  }],
];

interface Parameter {
  key: string;
  axis: Axis;
  /** JSON text of the parameter for each level of the axis; undefined if the value is out of bounds. */
  texts: (string | undefined)[];
}

function readParameters(uses: TagUse[]): Parameter[] {
  return parameters.flatMap(([key, read]) => {
    const axis = uses.find(({ type, axis }) => type === key && axis)?.axis;
    if (!axis) return [];
    const texts = axis.storedIndices.map((index) => {
      const value = index === null ? undefined : axis.values[index];
      return read(isObject(value) ? value.get("value") : undefined);
    });
    return [{ key, axis, texts }];
  });
}

/**
 * Returns a function from the levels of a cell to its `client_args`: those of the settings, then `ckpt_name`,
 * `steps` (1 to 50) and `cfg` (0.1 to 10) from variables of those types. Like in the old backend, tags with
 * their own value add none.
 *
 * @returns a function that returns JSON text, or null if there are no arguments
 */
export function planClientArgs(settings: JsonObject, uses: TagUse[]): (levels: number[]) => string | null {
  const given = settings.get("client_args");
  const fixed = new Map<string, string>();
  if (isObject(given)) {
    for (const [key, value] of given) {
      if (!keysRefused.has(key.toLowerCase().replaceAll("_", "-"))) fixed.set(key, stringifyJson(value));
    }
  }
  const varied = readParameters(uses);
  const written = new Map<string, string | null>();
  return (levels) => {
    const texts = varied.map(({ axis, texts }) => texts[levels[axis.slot] ?? 0]);
    const key = texts.join("\n");
    const known = written.get(key);
    if (known !== undefined) return known;
    const all = new Map(fixed);
    varied.forEach((parameter, i) => {
      const text = texts[i];
      if (text !== undefined) all.set(parameter.key, text);
    });
    const fields = [...all].map(([name, value]) => `${JSON.stringify(name)}:${value}`);
    const text = fields.length === 0 ? null : `{${fields.join(",")}}`;
    written.set(key, text);
    return text;
  };
}
