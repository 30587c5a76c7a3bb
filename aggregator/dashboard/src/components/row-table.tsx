// A dense table that becomes a column of cards where the screen is narrow. Owns its shape; what stands in a cell is the page's.
import type { ReactNode } from 'react';
import { language } from '../format/language.ts';
import classes from './row-table.module.css';

export type Column<Row> = {
  title: string;
  /** Neighbours of the same group stand under one common heading. */
  group?: string;
  /** Figures and actions stand at the end of their cell. */
  align?: 'end';
  /** Short text that stays on one line. */
  compact?: boolean;
  /** On a card it takes a line of its own. */
  wide?: boolean;
  cell: (row: Row) => ReactNode;
};

type RowTableProps<Row> = {
  /** What the table is, for those who cannot see where it stands. */
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf: (row: Row) => string;
};

// Cards are made by taking the table's display away, and its meaning to screen readers goes with it; the roles bring it back.
export function RowTable<Row>({ caption, columns, rows, keyOf }: RowTableProps<Row>) {
  const grouped = columns.some(({ group }) => group !== undefined);
  return (
    <div className={classes.frame}>
      <table className={classes.table} role="table" aria-label={caption}>
        <thead role="rowgroup" className={classes.head}>
          <tr role="row">{grouped ? groupHeadings(columns) : columns.map((column) => heading(column))}</tr>
          {grouped && (
            <tr role="row">{columns.filter(({ group }) => group !== undefined).map((column) => heading(column))}</tr>
          )}
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <tr role="row" key={keyOf(row)}>
              {columns.map((column) => (
                <td
                  role="cell"
                  key={labelOf(column)}
                  data-label={labelOf(column)}
                  data-align={column.align}
                  data-compact={column.compact}
                  data-wide={column.wide}
                >
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function labelOf<Row>({ group, title }: Column<Row>): string {
  return group === undefined ? title : `${group}, ${title.toLowerCase()}`;
}

function heading<Row>(column: Column<Row>, rowSpan?: number): ReactNode {
  return (
    <th
      role="columnheader"
      scope="col"
      key={labelOf(column)}
      data-align={column.align}
      rowSpan={rowSpan}
      aria-label={column.group === undefined ? undefined : labelOf(column)}
    >
      {column.title}
    </th>
  );
}

function groupHeadings<Row>(columns: readonly Column<Row>[]): ReactNode[] {
  const headings: ReactNode[] = [];
  for (let index = 0; index < columns.length; ) {
    const column = columns[index];
    if (column === undefined) break;
    const { group } = column;
    if (group === undefined) {
      headings.push(heading(column, 2));
      index += 1;
      continue;
    }
    let span = 1;
    while (columns[index + span]?.group === group) span += 1;
    headings.push(
      <th role="columnheader" scope="colgroup" key={group} colSpan={span} className={classes.group}>
        {group}
      </th>,
    );
    index += span;
  }
  return headings;
}

/** Two lines in one cell: what it is, and a quieter word about it; `false` where there is none. */
export function TwoLines({ first, second }: { first: ReactNode; second: ReactNode }) {
  return (
    <span className={classes.two}>
      <span className={classes.first}>{first}</span>
      {second !== false && <span className={classes.second}>{second}</span>}
    </span>
  );
}

/** What is not there. */
export function Nothing({ why }: { why: string }) {
  return (
    <span className={classes.nothing} title={why}>
      <span aria-hidden="true">–</span>
      <span className={classes.hidden}>{why}</span>
    </span>
  );
}

/** A figure; `striking` where it is what the row is about. */
export function Figure({ value, striking = false }: { value: number; striking?: boolean }) {
  return (
    <span className={classes.figure} data-striking={striking || undefined}>
      {value.toLocaleString(language)}
    </span>
  );
}
