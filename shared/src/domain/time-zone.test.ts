import { describe, expect, it } from 'vitest';
import { TimeZone } from './time-zone.ts';

describe('TimeZone', () => {
  it.each(Intl.supportedValuesOf('timeZone'))('accepts %s', (name) => expect(TimeZone.parse(name)).toBe(name));

  it.each([
    'UTC',
    'Asia/Kolkata',
    'Europe/Kyiv',
    'US/Eastern',
    'Etc/GMT+5',
    'America/Port-au-Prince',
    'GB-Eire',
    'PST8PDT',
  ])('accepts %s, which Intl lists under another name or not at all', (name) =>
    expect(TimeZone.parse(name)).toBe(name),
  );

  it.each([
    '+02:00',
    '-0530',
    '+02',
    'Z',
    'Mars/Phobos',
    '',
    ' Europe/Rome',
    'Europe/Rome\n',
    '../etc/passwd',
    'SystemV/PST8',
    'Systemv/PST8',
  ])('refuses %j', (name) => expect(TimeZone.safeParse(name).success).toBe(false));

  it.each(['2026-01-01T00:00:00Z[Europe/Rome]', '2026-01-01T00:00+02:00'])('refuses the timestamp %s', (name) => {
    expect(TimeZone.safeParse(name).success).toBe(false);
  });

  it('refuses a very long name without looking it up', () => {
    expect(messageOf('x'.repeat(1_000_000))).toBe('must be a time zone of at most 64 characters');
  });

  it.each(['+02:00', '+02', 'SystemV/PST8'])('names the value %s and shows what would be right', (name) => {
    expect(messageOf(name)).toBe(
      `"${name}" is not the name of an IANA time zone: write one such as "Europe/Rome" or "UTC"`,
    );
  });

  it('tells the usual spelling of a zone in the wrong case', () => {
    expect(messageOf('europe/rome')).toBe(
      '"europe/rome" is not the name of an IANA time zone: did you mean "Europe/Rome"?',
    );
  });

  it('lets no control character through into its message', () => {
    expect(messageOf('\u001b[31m')).not.toContain('\u001b');
  });
});

function messageOf(name: string): string | undefined {
  return TimeZone.safeParse(name).error?.issues[0]?.message;
}
