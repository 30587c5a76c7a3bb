import { describe, expect, it } from 'vitest';
import { HostName, Name, Note, Reason } from './name.ts';

describe('a name', () => {
  it.each([
    ['Nordwind IT', 'plain'],
    ['Łódź – Büro №1', 'other scripts'],
    ['Zahnarzt 🦷', 'emoji'],
    ["Robert'); DROP TABLE sites;--", 'SQL is only text'],
    ['../../etc/passwd', 'a path is only text'],
    ['x'.repeat(120), 'as long as may be'],
  ])('may be %j: %s', (text) => {
    expect(Name.safeParse(text).success).toBe(true);
  });

  it.each([
    ['', 'empty'],
    [' padded', 'a space at its start'],
    ['a\u0000b', 'NUL'],
    ['a\nb', 'a line break'],
    ['a\u001b[31mb', 'a terminal escape'],
    ['invoice\u202egnp.exe', 'text that reads backwards on screen'],
    ['\ud800', 'half a character'],
    ['x'.repeat(121), 'too long'],
    ['x'.repeat(1_000_000), 'a megabyte'],
  ])('may not be %j: %s', (text) => {
    expect(Name.safeParse(text).success).toBe(false);
  });
});

it('a host name may hold emoji but no NUL', () => {
  expect(HostName.safeParse('büro-🖥').success).toBe(true);
  expect(HostName.safeParse('pc\u0000').success).toBe(false);
});

describe('a reason', () => {
  it.each(['the same machine twice', '同'.repeat(133), 'x'.repeat(200)])('may be %j', (text) => {
    expect(Reason.safeParse(text).success).toBe(true);
  });

  it.each([
    ['', 'empty'],
    ['a\nb', 'a line break'],
    ['a\u001b]0;title\u0007', 'a terminal escape'],
    ['\ud83d', 'half a character, which no ledger can hold'],
    ['x'.repeat(201), 'too long in characters'],
    ['同'.repeat(134), 'too long in bytes'],
  ])('may not be %j: %s', (text) => {
    expect(Reason.safeParse(text).success).toBe(false);
  });
});

it('a note may hold line breaks, but no other control characters', () => {
  expect(Note.safeParse('call first\nthen ring').success).toBe(true);
  expect(Note.safeParse('a\u0007').success).toBe(false);
});
