/** Where a cell stands in the matrix. */
import { indicesOf, type Matrix } from "../../matrix/geometry.ts";

/** The value of the cell on each axis. */
export function CellValues({ matrix, cell }: { matrix: Matrix; cell: number }) {
  return (
    <dl class="cell-values">
      {indicesOf(matrix, cell).map((index, i) => {
        const axis = matrix.axes[i];
        return axis && (
          <div key={axis.key}>
            <dt>
              <bdi>{axis.name}</bdi>
            </dt>
            <dd>
              <bdi>{axis.labels[index]}</bdi>
            </dd>
          </div>
        );
      })}
    </dl>
  );
}
