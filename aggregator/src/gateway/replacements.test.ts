import { expect, it } from 'vitest';
import { Replacements } from './replacements.ts';

it('are too many at the fourth within a minute, each site for itself', () => {
  const replacements = new Replacements();
  for (const ms of [0, 10_000, 20_000]) {
    expect(replacements.atLimit('a', ms)).toBe(false);
    replacements.note('a', ms);
  }
  expect(replacements.atLimit('a', 20_001)).toBe(true);
  expect(replacements.atLimit('b', 20_001)).toBe(false);
  expect(replacements.atLimit('a', 59_999)).toBe(true);
  expect(replacements.atLimit('a', 60_000)).toBe(false);
  replacements.note('a', 61_000);
  replacements.note('a', 62_000);
  expect(replacements.atLimit('a', 62_001)).toBe(true);
});

it('are forgotten after a minute, whoever they were of', () => {
  const replacements = new Replacements();
  for (let site = 0; site < 1_000; site++) replacements.note(`site ${site}`, site);
  for (const ms of [120_000, 120_001]) replacements.note('last', ms);
  expect(replacements.atLimit('site 999', 120_002)).toBe(false);
  expect(replacements.atLimit('last', 120_002)).toBe(false);
});
