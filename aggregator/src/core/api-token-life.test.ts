import { describe, expect, it } from 'vitest';
import { expiryOf } from './api-token-life.ts';

const now = '2026-03-10T08:00:00.000Z';

describe('the end of a token made with another', () => {
  it.each<[number | undefined, string | null, string | null]>([
    [undefined, null, null],
    [1, null, '2026-03-11T08:00:00.000Z'],
    [undefined, '2026-03-12T00:00:00.000Z', '2026-03-12T00:00:00.000Z'],
    [3650, '2026-03-12T00:00:00.000Z', '2026-03-12T00:00:00.000Z'],
    [1, '2026-03-12T00:00:00.000Z', '2026-03-11T08:00:00.000Z'],
  ])('asked for %s days, under one that ends at %s, is %s', (validDays, expiresAt, end) => {
    expect(expiryOf(validDays, now, { expiresAt })).toBe(end);
  });
});
