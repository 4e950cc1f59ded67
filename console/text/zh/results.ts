/** 结果页面与对比页面的文字。 */
import type { text as en } from "../en/results.ts";
import { formatNumber } from "../format.ts";

const units = (n: number) => `${formatNumber(n)} 个单元`;

/** 服务器警告的译文，按代码；数字取自原文。 */
const warnings: Record<string, (first: string, second: string) => string> = {
  few_units: (least) => `不足 ${least} 个单元：只有点，没有区间`,
  no_spread: () => "所有单元都相同，无法得出区间",
  order_disagrees: () => "平均分显示优于基准，而逐个评分的排序显示劣于基准，或者相反",
  unbalanced: () => "各值的评分数、单元数或评分者不同：请看校正值和差值",
  not_separable: () => "没有校正值：其他变量、单元或评分者的影响无法与这些值区分",
  baseline_unrated: () => "基准值没有已评分的图片，因此没有对比",
  units_not_content: () => "此变量之外没有内容变量，单元不是提示词或角色",
  seeds_confounded: () => "同一单元中各值的种子不同，差异也包含种子的影响；更多单元和重复可以抵消",
  unequal_refused: () => "各值被拒绝的比例不同：已生成的图片经过了筛选",
  unequal_timed_out: () => "各值超时的比例不同：已生成的图片经过了筛选",
  unequal_failed: () => "各值其他失败的比例不同：已生成的图片经过了筛选",
  votes_unconnected: (groups) => `${groups} 组值之间没有投票相连，无法相互比较`,
  votes_across_units: (across, votes) => `${votes} 票中有 ${across} 票对比的是不同单元的图片`,
  few_units_voted: (least) => `有投票的单元不足 ${least} 个：区间按各票相互独立计算`,
  no_shared_images: () => "还没有图片被两个人评分",
  all_equal: () => "所有评分都相同，无法衡量一致性",
  nothing_shared: () => "没有在两个任务中都已评分的单元",
  other_raters: () => "两个任务的评分者不同，差异可能来自评分者",
};

const unitOf = {
  content: "单元是内容变量的一个组合",
  axes: "此变量之外没有内容变量，单元是其他变量的一个组合",
  repeats: "此变量之外只有重复，每次重复是一个单元",
  nothing: "此变量之外没有其他变量，整个任务是一个单元",
};

const averages =
  "先在图片内对评分者取平均，再在单元内对图片取平均，最后对单元取平均；区间为单元之间的 95% Student t 区间。";

const methods = {
  mean:
    `${averages}校正值是对所有变量、单元和评分者的最小二乘估计。差值在相同单元内比较，p 按值的个数校正（Holm）。P(最佳) 由对单元的自助抽样得出。`,
  top2: averages,
  fail: "失败的占比以已结束的单元格为准，区间为 Wilson 区间。",
  bt: "强度按 Bradley–Terry 模型由投票得出，平局计一半；名次是对所有配对同时成立的集合（Holm）。",
};

export const text: typeof en = {
  measure: "指标",
  measures: { mean: "平均分", top2: "4–5 分占比", fail: "失败", bt: "投票" },
  picks: { axis: "变量", by: "第二变量", baseline: "基准", order: "排序" },
  none: "无",
  inOrder: "按任务顺序",
  bestFirst: "最佳在前",
  series: {
    mean: "平均分（95% 区间）",
    top2: "占比（95% 区间）",
    refused: "被拒绝",
    timed_out: "超时",
    failed: "其他失败",
    bt: "强度（95% 区间）",
  },
  columns: { adjusted: "校正值", best: "P(最佳)", against: "差值", stars: "1–5 分", ranks: "名次" },
  tableOf: (axis, measure) => `${axis}：${measure}`,
  isBaseline: "基准",
  openSlice: "查看这些图片",
  showAll: (levels) => `显示全部 ${formatNumber(levels)} 个`,
  against: (p, n, better) => `${p}${units(n)}，胜出 ${better}`,
  n: {
    ratings: (n) =>
      `${units(n.units)}，${formatNumber(n.images)} 张图片，${formatNumber(n.ratings)} 次评分，${
        formatNumber(n.raters)
      } 人`,
    votes: (n) => `${formatNumber(n)} 票`,
    ended: (n, tries) => `${formatNumber(n)} 格，${formatNumber(tries)} 次尝试未出图`,
  },
  nothing: "暂无",
  best: (levels, isSet) => isSet ? `尚无定论。最佳值很可能在其中：${levels}。` : `最佳：${levels}。`,
  fewUnits: "单元太少，无法判断哪个值最佳。",
  legends: {
    mean: "横条：95% 区间。菱形：校正值。虚线：基准。",
    top2: "横条：95% 区间。",
    fail: "占已结束单元格的比例。横条：95% 区间。",
    bt: "0 为平均水平。横条：95% 区间。投票无法区分的名次以范围表示。",
  },
  warning: (text, code, numbers) => {
    const [first = "", second = ""] = numbers.map((number) => formatNumber(number));
    return warnings[code]?.(first, second) ?? text;
  },
  why: "为什么是这个区间？",
  method: (_text, measure, basis, axes, n) =>
    `同一单元的图片彼此相似，因此按单元而不是按图片计算。${unitOf[basis]}，共 ${units(n)}${
      axes === "" ? "" : `（${axes}）`
    }。${methods[measure]}`,
  empty: { mean: "还没有评分", top2: "还没有评分", bt: "还没有投票", fail: "还没有已结束的单元格" },
  noCells: "没有可对比的内容",
  oneLevel: "此变量只有一个值，没有可对比的对象。",
  provisional: (open, total) => `暂定结果：${formatNumber(total)} 格中还有 ${formatNumber(open)} 格未生成。`,
  blind: "此任务为盲评，只有创建者可以查看评分结果。",
  heatLegend: (least) => `n 不足 ${formatNumber(least)} 的格子不着色。`,
  heatCut: (rows, columns) => `仅显示前 ${rows} 行和前 ${columns} 列。`,
  interactions: (isTested, isFlagged) =>
    isFlagged
      ? "▲▼：高于或低于两个变量各自影响之和（交互作用，q ≤ 0.05）。"
      : isTested
      ? "没有明显的交互作用（q ≤ 0.05）。"
      : "未检验交互作用：具有全部组合的单元太少。",
  raters: {
    title: "评分者与一致性",
    one: "目前只有一位评分者。衡量一致性需要另一人为相同的图片评分。",
    alpha: (images, n) =>
      `Krippendorff α（1 为完全一致，0 为随机水平），${formatNumber(images)} 张共同评分的图片，${units(n)}`,
    unnamed: "通过链接评分，或已删除",
    rater: "评分者",
    bias: "偏差",
    inconsistency: "不一致性",
    n: (n, shared) => `${n} 次评分，${shared} 张共同图片`,
    legend: "单位：分。偏差：比其他评分者平均高或低多少。不一致性：除偏差外，单次评分的波动。",
  },
  compare: {
    title: "对比两个任务",
    open: "与其他任务对比",
    pick: (side) => `选择任务 ${side}`,
    change: "选择其他任务",
    search: "按名称搜索",
    noRuns: "没有其他匹配的任务。",
    run: "任务",
    mean: "共同单元的平均分",
    side: (ratings, raters, alone) =>
      `${formatNumber(ratings)} 次评分，${formatNumber(raters)} 人，${units(alone)}仅在此任务`,
    verdict: (size, isB) => `${isB ? "B" : "A"} 的评分高 ${size} 分`,
    undecided: "未能证实存在差异",
    difference: "B − A（95% 区间）",
    unit: "单元",
    all: (n) => `全部 ${units(n)}`,
    numbers: (n) =>
      `${formatNumber(n.units)} 对单元，${formatNumber(n.combinations)} 个共同组合，${
        formatNumber(n.shared_raters)
      } 位共同评分者。`,
    nothing: "这两个任务没有共同的已评分内容",
    nothingText: "两个任务需要有相同提示词或其他内容的评分。",
    differs: "其他不同之处",
    what: "设置",
    seeds: "种子",
    method: () =>
      "只计入在两个任务中都已评分的单元，每个单元是一对。先在图片内对评分者取平均，再在两个任务共有的组合内对图片取平均，然后在单元内对组合取平均。区间为差值的 95% Student t 区间。",
  },
};
