/** How the commands write for people: aligned lines, plain tables, instants in the site's zone. What they say is each command's. */
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import type { TimeZone } from '@rollcall/shared/domain/time-zone.ts';
import Table from 'cli-table3';

/** Where a command writes; main gives it standard output. */
export type Print = (text: string) => void;

/** `label   value` lines, the values in one column. */
export function labelled(rows: readonly (readonly [label: string, value: string])[], indent = '  '): string {
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => `${indent}${label.padEnd(width)}   ${value}`.trimEnd()).join('\n');
}

/** A table without frames: reads well and can be cut into columns. Numbers stand to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[], indent = '  '): string {
  const rightAligned = head.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number'));
  const frameless = {
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
  };
  const printed = new Table({
    head: [...head],
    colAligns: rightAligned.map((right) => (right ? 'right' : 'left')),
    chars: {
      ...frameless,
      'bottom-right': '',
      left: '',
      'left-mid': '',
      mid: '',
      'mid-mid': '',
      right: '',
      'right-mid': '',
      middle: '  ',
    },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const row of rows) printed.push(row.map(String));
  return printed
    .toString()
    .split('\n')
    .map((line) => `${indent}${line}`.trimEnd())
    .join('\n');
}

/** `2026-03-31 14:05:09 UTC+02:00`: as a clock on the site's wall shows it. */
export function localTime(instant: Instant, zone: TimeZone): string {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    calendar: 'iso8601',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
    timeZoneName: 'longOffset',
  });
  const parts = Object.fromEntries(format.formatToParts(new Date(instant)).map(({ type, value }) => [type, value]));
  const { year, month, day, hour, minute, second, timeZoneName = '' } = parts;
  return `${year}-${month}-${day} ${hour}:${minute}:${second} ${timeZoneName.replace(/^GMT/, 'UTC')}`;
}

export const localTimeOr = (instant: Instant | null, zone: TimeZone, otherwise: string): string =>
  instant === null ? otherwise : localTime(instant, zone);

/** `1 server`, `2 servers`. */
export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;
