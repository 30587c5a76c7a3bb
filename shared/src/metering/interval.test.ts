import { describe, expect, it } from 'vitest';
import { clipToPeriod, DeployedInterval } from './interval.ts';

const day = (number: number): string => `2026-03-${String(number).padStart(2, '0')}T00:00:00.000Z`;
const period = { start: day(10), end: day(20) };

describe('clipToPeriod', () => {
  it.each([
    ['within', 12, 14, { start: day(12), end: day(14) }],
    ['over its start', 8, 14, { start: day(10), end: day(14) }],
    ['over its end', 14, 22, { start: day(14), end: day(20) }],
    ['around it', 8, 22, { start: day(10), end: day(20) }],
    ['without end', 14, null, { start: day(14), end: day(20) }],
    ['ending as it starts', 8, 10, null],
    ['starting as it ends', 20, 22, null],
    ['before it', 4, 8, null],
    ['after it', 22, null, null],
    ['empty', 14, 14, null],
    ['ending before it starts itself', 16, 14, null],
  ])('cuts an interval %s', (_, from, to, expected) => {
    expect(clipToPeriod(day(from), to === null ? null : day(to), period)).toEqual(expected);
  });
});

describe('DeployedInterval', () => {
  const interval = { endpoint: 'm1', kind: 'server', deployedAt: day(1), removedAt: day(2) };

  it('accepts an interval with or without an end', () => {
    expect(DeployedInterval.parse(interval)).toEqual(interval);
    expect(DeployedInterval.safeParse({ ...interval, removedAt: null }).success).toBe(true);
  });

  it.each([
    ['an end before its start', { removedAt: '2026-02-28T00:00:00.000Z' }],
    ['no end, left out', { removedAt: undefined }],
    ['another kind', { kind: 'desktop' }],
    ['no endpoint', { endpoint: '' }],
    ['a date that is no instant', { deployedAt: '2026-03-01' }],
  ])('refuses %s', (_, change) => expect(DeployedInterval.safeParse({ ...interval, ...change }).success).toBe(false));
});
