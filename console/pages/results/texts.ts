/** The texts of the pages Results and Compare. */
import { Texts } from "../../text/texts.ts";

export const resultsTexts = new Texts({
  en: () => import("../../text/en/results.ts"),
  zh: () => import("../../text/zh/results.ts"),
});
