/** The texts that every page needs. */
import { Texts } from "../text/texts.ts";

export const common = new Texts({
  en: () => import("../text/en/common.ts"),
  zh: () => import("../text/zh/common.ts"),
});
