/** The texts of the pages for operators. */
import { Texts } from "../text/texts.ts";

export const operatorTexts = new Texts({
  en: () => import("../text/en/operators.ts"),
  zh: () => import("../text/zh/operators.ts"),
});
