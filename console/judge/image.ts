/** Images to judge as v2 gives them, and their values on the axes. */
import type { Schemas } from "../api/client.ts";
import { safeUrl } from "../matrix/images.ts";
import { labelOf } from "../matrix/names.ts";
import { Picture } from "./pictures.ts";

type Given = Schemas["ImageToJudge"];
type Axis = Schemas["TaskDetail"]["axes"][number];

/** An image with what the server tells of it. */
export interface Shown extends Pick<Given, "cell" | "version" | "at"> {
  picture: Picture;
}

export const toShown = ({ cell, version, at, image_url }: Given): Shown => ({
  cell,
  version,
  ...(at ? { at } : {}),
  // An address that is no web address fails to load, as any other broken one does.
  picture: new Picture(safeUrl(image_url) ?? ""),
});

/** Returns the names and values of an image on the axes that have several values. */
export const placesOf = (axes: readonly Axis[], { at = {} }: Shown): (readonly [string, string])[] =>
  axes.flatMap(({ axis, name, values, length }) => {
    const index = at[axis];
    if (index === undefined || length < 2) return [];
    const value = values && index < values.length ? labelOf(values[index]) : String(index + 1);
    return [[name || axis, value] as const];
  });
