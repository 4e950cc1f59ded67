/** What the expansion takes from a task's settings: `concurrency`, and `client_args` with the tags that add to it. */
import { AppError } from "../../errors.ts";
import { formatFloat, int, type Json, JsonNumber, type JsonObject, stringifyJson } from "../../json.ts";
import type { Axis, TagUse } from "./axes.ts";
import { isObject, isTruthy, readInteger, readNumber } from "./values.ts";

const concurrencyMax = 50;

/**
 * The settings as they are stored: `concurrency` within 1 and 50.
 *
 * @throws AppError invalid_request where `concurrency` is there and no number
 */
export function storeSettings(settings: JsonObject): JsonObject {
  const given = settings.get("concurrency");
  if (given === undefined) return settings;
  if (!(given instanceof JsonNumber) && typeof given !== "boolean") {
    const value = typeof given === "string" ? given : stringifyJson(given);
    throw new AppError(
      "invalid_request",
      `expanding the task: settings.concurrency '${value}' is no number`,
      {
        fields: [{ field: "settings.concurrency", value, wanted: `a number from 1 to ${concurrencyMax}` }],
      },
    );
  }
  const wanted = given instanceof JsonNumber ? given.value : Number(given);
  const clamped = given instanceof JsonNumber && wanted >= 1 && wanted <= concurrencyMax
    ? given
    : int(Math.max(1, Math.min(concurrencyMax, wanted)));
  return new Map(settings).set("concurrency", clamped);
}

/** Never handed on to the image API: they could lead it, or its token, elsewhere. */
const keysRefused = new Set(["url", "x-token"]);

type Reader = (value: Json | undefined) => string | undefined;

/** The parameters that a variable may give, in the order in which they are added. */
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
  /** JSON text of the parameter for each value of the axis; absent where the value is out of bounds. */
  texts: (string | undefined)[];
}

function readParameters(uses: TagUse[]): Parameter[] {
  return parameters.flatMap(([key, read]) => {
    const axis = uses.find(({ type, axis }) => type === key && axis)?.axis;
    if (!axis) return [];
    const texts = axis.indices.map((index) => {
      const value = index === null ? undefined : axis.values[index];
      return read(isObject(value) ? value.get("value") : undefined);
    });
    return [{ key, axis, texts }];
  });
}

/**
 * Gives a function from a cell's places to its `client_args`: the settings' own, then `ckpt_name`, `steps` (1 to
 * 50) and `cfg` (0.1 to 10) from variables of those types. Tags with a value of their own add nothing, as recorded.
 *
 * @returns JSON text, or null where there is nothing to say
 */
export function planClientArgs(settings: JsonObject, uses: TagUse[]): (places: number[]) => string | null {
  const given = settings.get("client_args");
  const fixed = new Map<string, string>();
  if (isObject(given)) {
    for (const [key, value] of given) {
      if (!keysRefused.has(key.toLowerCase().replaceAll("_", "-"))) fixed.set(key, stringifyJson(value));
    }
  }
  const varied = readParameters(uses);
  const written = new Map<string, string | null>();
  return (places) => {
    const texts = varied.map(({ axis, texts }) => texts[places[axis.slot] ?? 0]);
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
