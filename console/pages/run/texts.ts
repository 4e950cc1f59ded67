/** The texts of the page of a run. */
import { Texts } from "../../text/texts.ts";

export const runTexts = new Texts({
  en: () => import("../../text/en/run.ts"),
  zh: () => import("../../text/zh/run.ts"),
});
