/** What commands print: tables and fields for people, JSON for programs. Results go to the output, remarks to the error stream. */
import type { Writable } from 'node:stream';
import Table from 'cli-table3';

/** A column's heading and what stands in it. */
export type Column<Row> = readonly [heading: string, cell: (row: Row) => string | number | boolean | null];

export type Printer = {
  json: boolean;
  /** A table; as JSON the rows themselves. */
  rows<Row extends object>(rows: readonly Row[], columns: readonly Column<Row>[], more?: boolean): void;
  /** One thing, a line a field; as JSON the thing itself. */
  one<Thing extends object>(thing: Thing, fields: readonly Column<Thing>[]): void;
  /** A remark for people; never part of the result. */
  remark(text: string): void;
  /** A file's content into the output as it is. */
  raw(content: Uint8Array): Promise<void>;
};

const plainBorders = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
  ].map((part) => [part, '']),
);

export function createPrinter(out: Writable, err: Writable, json: boolean): Printer {
  const line = (text: string): void => void out.write(`${text}\n`);
  return {
    json,
    rows(rows, columns, more = false) {
      if (json) line(JSON.stringify(rows, null, 2));
      else if (rows.length === 0) err.write('nothing to list\n');
      else {
        const table = new Table({
          head: columns.map(([heading]) => heading),
          chars: { ...plainBorders, middle: '  ' },
          style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
        });
        table.push(...rows.map((row) => columns.map(([, cell]) => shown(cell(row)))));
        line(
          table
            .toString()
            .split('\n')
            .map((each) => each.trimEnd())
            .join('\n'),
        );
      }
      if (more) err.write(`there are more than these ${rows.length}: raise --limit, or narrow the list\n`);
    },
    one(thing, fields) {
      if (json) {
        line(JSON.stringify(thing, null, 2));
        return;
      }
      const width = Math.max(...fields.map(([heading]) => heading.length));
      for (const [heading, cell] of fields) line(`${heading.padEnd(width)}  ${shown(cell(thing))}`.trimEnd());
    },
    remark: (text) => void err.write(`${text}\n`),
    raw: (content) =>
      new Promise((resolve, reject) => out.write(content, (error) => (error ? reject(error) : resolve()))),
  };
}

/** What is absent is a dash; a line break would break the table. */
const shown = (value: string | number | boolean | null): string =>
  value === null || value === ''
    ? '-'
    : value === true
      ? 'yes'
      : value === false
        ? 'no'
        : String(value).replaceAll(/\s+/g, ' ');
