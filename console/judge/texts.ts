/** The texts of the pages on which people judge. */
import { Texts } from "../text/texts.ts";

export const judgeTexts = new Texts({
  en: () => import("../text/en/judge.ts"),
  zh: () => import("../text/zh/judge.ts"),
});
