/** The texts of the matrix. */
import { Texts } from "../text/texts.ts";

export const matrixTexts = new Texts({
  en: () => import("../text/en/matrix.ts"),
  zh: () => import("../text/zh/matrix.ts"),
});
