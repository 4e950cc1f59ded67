/** 任务矩阵的文字。 */
import type { text as en } from "../en/matrix.ts";
import { formatFixed, formatNumber } from "../format.ts";

export const text: typeof en = {
  title: "矩阵按键",
  label: (cells: number, rows: number, columns: number) =>
    `矩阵：共 ${formatNumber(cells)} 格，${formatNumber(rows)} 行 ${formatNumber(columns)} 列`,
  cell: (row: string, column: string, rest: string) =>
    [row === "" ? "" : `行 ${row}`, column === "" ? "" : `列 ${column}`, rest].filter(Boolean).join("，"),
  rated: (mean: number) => `评分 ${formatFixed(mean, Number.isInteger(mean) ? 0 : 1)}`,
  selected: "已选中",
  none: "无单元格",
  minimap: "全部单元格的缩略图，点击或拖动可跳转。",
  move: "移动到其他格",
  open: "打开详情",
  select: "选中或取消选中",
  selectRow: "选中整行（Shift + 空格）",
  selectRange: "扩展选区（Shift + 方向键）",
  selectAll: "选中当前显示的全部格",
  clear: "清除选择",
  zoomIn: "放大",
  zoomOut: "缩小",
  swap: "交换行与列",
  empty: "（空）",
  number: (index: number) => `第 ${formatNumber(index)} 个`,
};
