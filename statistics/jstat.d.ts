/** The few functions of jstat that are used here; it brings no types of its own. */
declare const jStat: {
  normal: { inv(p: number, mean: number, deviation: number): number };
  studentt: { cdf(x: number, freedom: number): number; inv(p: number, freedom: number): number };
  chisquare: { cdf(x: number, freedom: number): number };
};
export { jStat as default };
