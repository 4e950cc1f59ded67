/** The texts of the page New run. */
import { Texts } from "../../text/texts.ts";

export const newRunTexts = new Texts({
  en: () => import("../../text/en/new_run.ts"),
  zh: () => import("../../text/zh/new_run.ts"),
});
