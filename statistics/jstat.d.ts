/** Types of the functions of jstat in use; the package has no types. */
declare const jStat: {
  normal: { inv(p: number, mean: number, deviation: number): number };
  studentt: { cdf(x: number, degrees: number): number; inv(p: number, degrees: number): number };
  chisquare: { cdf(x: number, degrees: number): number };
};
export { jStat as default };
