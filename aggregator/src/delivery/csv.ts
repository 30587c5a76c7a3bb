/**
 * Owns how our CSV files are written: UTF-8 with a byte order mark (Excel reads UTF-8 no other way), a header row, comma,
 * CRLF (RFC 4180), and no cell that a spreadsheet would run as a formula. What stands in a file belongs to the file's module.
 */
import { stringify } from 'csv-stringify/sync';

/** Text is guarded against formulas; a `decimal` is made of digits by us, and its minus stays. Null is an empty cell. */
export type CsvCell = string | number | null | { decimal: string };

/** Names of the columns, in order. They are part of our interface: new ones are added at the end, none is renamed or moved. */
export type CsvColumns = readonly string[];

/** The whole file of few rows. */
export function csvFile(columns: CsvColumns, rows: readonly CsvCell[][]): string {
  return csvText(rows, columns);
}

/** A file of many rows as it grows, one piece of text per batch; the header comes even where there are no rows. */
export async function* csvPieces<Row>(
  columns: CsvColumns,
  batches: AsyncIterable<readonly Row[]>,
  cellsOf: (row: Row) => CsvCell[],
): AsyncGenerator<string> {
  yield csvText([], columns);
  for await (const batch of batches) if (batch.length > 0) yield csvText(batch.map(cellsOf));
}

function csvText(rows: readonly CsvCell[][], header?: CsvColumns): string {
  const cells: CsvCell[][] = header === undefined ? [...rows] : [[...header], ...rows];
  return stringify(cells, {
    bom: header !== undefined,
    record_delimiter: 'windows',
    escape_formulas: true,
    cast: { object: ({ decimal }) => ({ value: typeof decimal === 'string' ? decimal : '', escape_formulas: false }) },
  });
}
