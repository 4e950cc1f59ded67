/** Texts of the page Runs. */

export const text = {
  title: "Runs",
  empty: "No runs yet",
  emptyText: "A run draws one image for every combination of the values that you give.",
};
