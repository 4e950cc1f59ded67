/** Schemas of query parameters, with equal bounds in the server and in the OpenAPI document. */
import { z } from "@hono/zod-openapi";

interface IntegerOptions {
  min: number;
  max: number;
  /** Value of an absent parameter. */
  absent: number;
  description?: string;
}

/** A whole number in plain digits. */
export const integerQuery = (name: string, { min, max, absent, description }: IntegerOptions) =>
  z.string().refine((text) => /^(?:0|[1-9][0-9]{0,14})$/.test(text) && +text >= min && +text <= max, {
    message: `a whole number from ${min} to ${max}`,
  }).transform(Number).default(absent).openapi({
    param: { name, in: "query" },
    type: "integer",
    minimum: min,
    maximum: max,
    default: absent,
    ...(description === undefined ? {} : { description }),
  });

const day = "(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})-[0-9]{2}-[0-9]{2}";
const timePattern = new RegExp(`^${day}T[0-9]{2}:[0-9]{2}:[0-5][0-9](?:\\.[0-9]{1,9})?Z$`);
const calendarTime = z.iso.datetime();

/** A time that a client sends: in UTC, to the second or finer. */
export const timeIn = z.string().refine(
  (text) => timePattern.test(text) && calendarTime.safeParse(text).success,
  { message: "a time such as 2025-05-13T07:40:46Z" },
).openapi({ format: "date-time", pattern: timePattern.source, example: "2025-05-13T07:40:46.622Z" });

/** A list of `names`, separated by commas. Empty parts are ignored. */
export const namesQuery = (names: readonly string[]) =>
  z.string().regex(
    new RegExp(`^(?:${names.join("|")})?(?:,(?:${names.join("|")})?)*$`),
    `any of ${names.join(", ")}`,
  );
